import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nkeys } from '@nats-io/transport-node';
import { execa } from 'execa';
import { afterAll, beforeAll } from 'vitest';
import { type Bus, connectBus } from '../../lib/bus/connection/connect.ts';
import { type NatsServer, startNatsServer } from '../../tools/nats-server/start.ts';
import { useBus } from './bus.ts';
import { makeFleetBuckets } from './fleet-buckets.ts';
import { program } from './program.ts';

/** A sender, a receiver, and one that does both, with the flags of `zpsend deploy permissions`. */
const flagsOf = {
  'smos-01': ['--sender'],
  'smos-00': ['--receiver', '--from', 'smos-01'],
  'smos-02': ['--from', 'smos-01'],
};
export type PermittedHost = keyof typeof flagsOf;
const permittedHosts = Object.keys(flagsOf) as PermittedHost[];

/** Hosts of one account, each with what `zpsend deploy permissions` prints for it. */
export interface Permitted {
  readonly server: NatsServer;
  /** Who a host is, for its environment. */
  envOf(host: PermittedHost | 'admin'): NodeJS.ProcessEnv;
  as(host: PermittedHost | 'admin'): Promise<Bus>;
}

/** For all tests of a file: call it at the top, and the returned function inside a test. */
export function usePermittedHosts(): () => Permitted {
  let folder: string | undefined;
  let server: NatsServer | undefined;
  let permitted: Permitted | undefined;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'zpsend-nkeys-'));
    const made = await Promise.all(permittedHosts.map((host) => makeUser(host, folder ?? '')));
    const users = made.map(({ config }) => config).join('\n');
    const config = `authorization { users: [\n{ user: admin, password: pw }\n${users}\n] }`;
    const started = await startNatsServer({ jetstream: true, config });
    server = started;
    const env = new Map<string, NodeJS.ProcessEnv>(made.map((user) => [user.host, user.env]));
    env.set('admin', { NATS_USER: 'admin', NATS_PASSWORD: 'pw' });
    const envOf = (host: string): NodeJS.ProcessEnv => ({ NATS_URL: started.url, ...env.get(host) });
    permitted = { server: started, envOf, as: (host) => useBus(started.url, { env: envOf(host) }) };
    const admin = await connectBus({ name: 'admin', env: envOf('admin'), wait: false });
    await makeFleetBuckets(admin, { sources: ['smos-01'], policyTarget: 'smos-00', keepsEntries: true });
    await admin.close();
  });
  afterAll(async () => {
    await server?.stop();
    if (folder !== undefined) await rm(folder, { recursive: true });
  });
  return () => {
    if (!permitted) throw new Error('the hosts are there in tests only');
    return permitted;
  };
}

/** What the command prints for a host, with a key that is made here. */
async function makeUser(host: PermittedHost, folder: string) {
  const pair = nkeys.createUser();
  const seed = join(folder, `${host}.nk`);
  await writeFile(seed, pair.getSeed());
  const argv = [program, 'deploy', 'permissions', host, '--nkey', pair.getPublicKey(), ...flagsOf[host]];
  const { stdout: config } = await execa(process.execPath, argv);
  return { host, config, env: { NATS_NKEY: seed, ZPSEND_INBOX_PREFIX: `_INBOX.${host}` } };
}
