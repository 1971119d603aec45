import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Bus, connectBus } from '../../lib/bus/connection/connect.ts';
import { startNatsCluster } from '../../tools/nats-server/cluster.ts';
import type { NatsServer } from '../../tools/nats-server/start.ts';
import { type Host, simulatedHost } from '../support/hosts.ts';
import { openServices, type Services } from './service-processes.ts';

/** Three NATS servers in a cluster, a source and its targets, two instances of each service; all gone after `end`. */
export interface World {
  readonly source: Host;
  readonly targets: readonly Host[];
  readonly servers: readonly NatsServer[];
  readonly bus: Bus;
  readonly services: Services;
  end(): Promise<void>;
}

export const lockSeconds = 8;
const instances = 2;
const size = 3;
/** What `zfs send` reads, bytes a second: a transfer takes some seconds, so that something can happen in its middle. */
const rate = '3M';

/** @param policy the dataset that a new snapshot's event sends to all targets */
export async function makeWorld(targetNames: readonly string[], policy: string): Promise<World> {
  const folder = await mkdtemp(join(tmpdir(), 'zpsend-chaos-'));
  const servers = await startNatsCluster(size, { jetstream: true });
  const urls = servers.map(({ url }) => url).join(',');
  const [source, ...targets] = await Promise.all(['src', ...targetNames].map(simulatedHost));
  if (!source) throw new Error('no source');
  const bus = await connectBus({ name: 'chaos', env: { NATS_URL: urls }, wait: true });
  const config = async (name: string, content: object): Promise<string> => {
    const file = join(folder, name);
    // JSON is YAML
    await writeFile(file, JSON.stringify(content));
    return file;
  };
  const common = {
    NATS_URL: urls,
    ZPSEND_LOCK_SECONDS: String(lockSeconds),
    ZPSEND_SILENCE_SECONDS: '6',
    ZFS_SIM_SEND_RATE: rate,
  };
  const sending = {
    channel: 'auto',
    policies: [{ dataset: policy, to: targetNames }],
    reconcileMinutes: 0.5,
    store: { maxBytes: 256 * 2 ** 20 },
  };
  const receiving = { allow: [{ from: source.name, into: source.pool }] };
  const sendConfig = await config('send.yaml', { send: sending });
  const receiveConfig = await config('receive.yaml', { receive: receiving });
  const services = openServices(
    [
      ...targets.map(({ name, env }) => ({
        role: 'receiver' as const,
        host: name,
        env: { ...env, ...common, ZPSEND_CONFIG: receiveConfig },
      })),
      { role: 'sender', host: source.name, env: { ...source.env, ...common, ZPSEND_CONFIG: sendConfig } },
    ],
    instances,
  );
  return {
    source,
    targets,
    servers,
    bus,
    services,
    async end() {
      await services.end();
      await bus.close();
      await Promise.all(servers.map((server) => server.stop()));
      await Promise.all([source, ...targets].map((host) => host.remove()));
      await rm(folder, { recursive: true, force: true });
    },
  };
}
