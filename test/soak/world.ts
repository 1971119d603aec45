import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Bus, connectBus } from '../../lib/bus/connection/connect.ts';
import { request } from '../../lib/bus/rpc/request.ts';
import { subjects } from '../../lib/bus/subjects.ts';
import { type Job, sendStartedSchema, sendStatusSchema } from '../../schemas/job.ts';
import type { SendRequest } from '../../schemas/request.ts';
import { type NatsServer, startNatsServer } from '../../tools/nats-server/start.ts';
import { type Host, realHost, simulatedHost } from '../support/hosts.ts';
import { locksLeft } from '../support/locks-left.ts';
import { retry } from '../support/retry.ts';
import { type ServiceProcess, startService } from '../support/service.ts';

export type Party = 'sender' | 'receiver' | 'nats';

/** Two hosts, a NATS server and both services; all gone after `end`. */
export interface World {
  readonly source: Host;
  readonly target: Host;
  /** A passphrase, for `keylocation`. */
  readonly keyFile: string;
  begin(request: SendRequest): Promise<string>;
  status(job: string): Promise<Job | undefined>;
  /** SIGKILL. */
  kill(party: Party): Promise<void>;
  revive(party: Party): Promise<void>;
  /** What holds a lock, after those of the dead have expired. */
  locks(): Promise<string[]>;
  end(): Promise<void>;
}

const lockSeconds = 4;
/** An emulated machine answers late, in milliseconds. */
const answerMs = 60_000;

export async function makeWorld(real: boolean): Promise<World> {
  const folder = await mkdtemp(join(tmpdir(), 'zpsend-soak-'));
  const keyFile = join(folder, 'key');
  await writeFile(keyFile, 'correct horse\n');
  const make = real ? realHost : simulatedHost;
  const [source, target] = [await make('src'), await make('dst')];
  const server: NatsServer = await startNatsServer({ jetstream: true });
  const bus: Bus = await connectBus({ name: 'soak', env: { NATS_URL: server.url }, wait: true });
  const config = join(folder, 'zpsend.yaml');
  await writeFile(config, configOf(target.pool));
  const common = {
    NATS_URL: server.url,
    ZPSEND_CONFIG: config,
    ZPSEND_LOCK_SECONDS: String(lockSeconds),
    ZPSEND_SILENCE_SECONDS: real ? '10' : '3',
  };
  const services: Partial<Record<Party, ServiceProcess>> = {};
  const hosts = { sender: source, receiver: target };

  async function revive(party: Party): Promise<void> {
    if (party === 'nats') return server.restart();
    services[party] = await startService(party, { ...hosts[party].env, ...common });
  }
  await revive('receiver');
  await revive('sender');

  return {
    source,
    target,
    keyFile,
    revive,
    begin: async (body) => {
      const subject = subjects.send(source.name, 'start');
      return (await retry(() => request(bus, subject, body, sendStartedSchema, answerMs))).job;
    },
    async status(job) {
      try {
        const subject = subjects.send(source.name, 'status');
        return (await request(bus, subject, { job }, sendStatusSchema, answerMs)).jobs[0];
      } catch {
        return undefined;
      }
    },
    async kill(party) {
      if (party === 'nats') await server.kill();
      else await services[party]?.end('SIGKILL');
    },
    locks: () => locksLeft(bus, lockSeconds),
    async end() {
      await Promise.all([services.sender?.end(), services.receiver?.end()]);
      await bus.close();
      await server.stop();
      await Promise.all([source.remove(), target.remove()]);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

const configOf = (pool: string): string =>
  `receive:\n  allow:\n    - from: src\n      into: ${pool}\n      conflicts: [rollback, rotate]\n`;
