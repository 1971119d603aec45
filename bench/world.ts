import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { type Bus, connectBus } from '../lib/bus/connection/connect.ts';
import { request } from '../lib/bus/rpc/request.ts';
import { subjects } from '../lib/bus/subjects.ts';
import { type Job, sendStartedSchema, sendStatusSchema } from '../schemas/job.ts';
import { startService } from '../test/support/service.ts';
import { makeSimHost, type SimHost } from '../test/support/sim-host.ts';
import { type NatsServer, startNatsServer } from '../tools/nats-server/start.ts';
import type { Usage } from './processes.ts';

/** The time and resources of one run. */
export interface Run {
  readonly seconds: number;
  readonly usages: Record<string, Usage>;
}

/** Two simulated hosts, a NATS server without and one with TLS, and a folder; `end` removes all of them. */
export interface World {
  readonly folder: string;
  readonly source: SimHost;
  readonly target: SimHost;
  readonly plain: NatsServer;
  readonly tls: NatsServer;
  /** The environment with the URL of a server. */
  natsEnv(server: NatsServer): NodeJS.ProcessEnv;
  end(): Promise<void>;
}

async function certificate(folder: string): Promise<{ cert: string; key: string }> {
  const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
  await execa('openssl', [
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'],
    ...['-subj', '/CN=zpsend-bench', '-addext', 'subjectAltName=IP:127.0.0.1,DNS:localhost'],
    ...['-keyout', key, '-out', cert],
  ]);
  return { cert, key };
}

export async function makeWorld(): Promise<World> {
  const folder = await mkdtemp(join(tmpdir(), 'zpsend-bench-'));
  const pem = await certificate(folder);
  const [source, target] = [await makeSimHost('bench-src'), await makeSimHost('bench-dst')];
  await source.zpool('create', 'tank');
  await target.zpool('create', 'tank');
  const [plain, tls] = [
    await startNatsServer({ jetstream: true }),
    await startNatsServer({ jetstream: true, tls: pem }),
  ];
  return {
    folder,
    source,
    target,
    plain,
    tls,
    natsEnv: (server) => ({ NATS_URL: server.url, ...(server === tls && { NATS_CA: pem.cert }) }),
    async end() {
      await Promise.all([plain.stop(), tls.stop(), source.remove(), target.remove()]);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Fresh services of both kinds on one NATS server. */
export interface Services {
  readonly bus: Bus;
  readonly sender: number;
  readonly receiver: number;
  /** Runs a job to its end. @throws Error if it fails */
  send(dataset: string, more?: object): Promise<Job>;
  begin(dataset: string, more?: object): Promise<string>;
  stopReceiver(): Promise<void>;
  stop(): Promise<void>;
}

export async function startServices(
  world: World,
  server: NatsServer,
  more: { sender?: NodeJS.ProcessEnv; receiver?: NodeJS.ProcessEnv } = {},
): Promise<Services> {
  const env = world.natsEnv(server);
  const { source, target } = world;
  const allow = { ZPSEND_ALLOW: `${source.name}=tank` };
  const receiver = await startService('receiver', { ...target.env, ...env, ...allow, ...more.receiver });
  const sender = await startService('sender', { ...source.env, ...env, ...more.sender });
  const bus = await connectBus({ name: 'bench', env, wait: false });
  const begin = async (dataset: string, more: object = {}): Promise<string> => {
    const body = { dataset, to: { host: target.name }, ...more };
    return (await request(bus, subjects.send(source.name, 'start'), body, sendStartedSchema)).job;
  };
  return {
    bus,
    sender: sender.pid,
    receiver: receiver.pid,
    begin,
    async send(dataset, more) {
      const job = await begin(dataset, more);
      for (;;) {
        const { jobs } = await request(bus, subjects.send(source.name, 'status'), { job }, sendStatusSchema);
        const [known] = jobs;
        if (known?.state === 'done') return known;
        if (known?.state === 'failed') throw new Error(`the job failed: ${known.error?.code} ${known.error?.message}`);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    },
    async stopReceiver() {
      await receiver.end('SIGTERM');
    },
    async stop() {
      await bus.close();
      await Promise.all([sender.end('SIGTERM'), receiver.end('SIGTERM')]);
    },
  };
}
