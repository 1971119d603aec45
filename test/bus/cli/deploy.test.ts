import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { jetstream } from '@nats-io/jetstream';
import { Kvm } from '@nats-io/kv';
import { nkeys } from '@nats-io/transport-node';
import { execa, execaSync } from 'execa';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { createStreamsBucket } from '../../../lib/bus/channel/store/create-bucket.ts';
import type { Bus } from '../../../lib/bus/connection/connect.ts';
import { readStatus } from '../../../lib/bus/status/read.ts';
import { hostsBucket, locksBucket, statusBucket, statusKey, subjects } from '../../../lib/bus/subjects.ts';
import { sendStartedSchema, sendStatusSchema } from '../../../schemas/job.ts';
import { fetchOutputSchema } from '../../../schemas/output.ts';
import type { SendStart } from '../../../schemas/request.ts';
import { type NatsServer, startNatsServer } from '../../../tools/nats-server/start.ts';
import { useBus } from '../../support/bus.ts';
import { makeCertificates } from '../../support/certificates.ts';
import { quick } from '../../support/fleet.ts';
import { freePort } from '../../support/free-port.ts';
import { program } from '../../support/program.ts';
import { startService } from '../../support/service.ts';
import { makeSimHost, type SimHost } from '../../support/sim-host.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const env: Record<string, NodeJS.ProcessEnv> = {};
let folder = '';

/** A file with the seed of a new key; returns the public one. */
async function keyOf(who: string): Promise<string> {
  const pair = nkeys.createUser();
  await writeFile(join(folder, `${who}.nk`), pair.getSeed());
  env[who] = {
    NATS_CA: join(folder, 'ca.pem'),
    NATS_NKEY: join(folder, `${who}.nk`),
    ...(who !== 'admin' && { ZPSEND_INBOX_PREFIX: `_INBOX.${who}` }),
  };
  return pair.getPublicKey();
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'zpsend-deploy-'));
  await makeCertificates(folder);
  const user = async (host: string, ...roles: string[]): Promise<string> => {
    const argv = [program, 'deploy', 'permissions', host, '--nkey', await keyOf(host), ...roles];
    return (await execa(process.execPath, argv)).stdout;
  };
  const users = [
    `{ nkey: ${await keyOf('admin')} }`,
    await user('src', '--sender'),
    await user('dst', '--receiver', '--from', 'src', '--js-domain', 'hub'),
  ];
  await writeFile(join(folder, 'users.conf'), `authorization { users: [\n${users.join('\n')}\n] }\n`);
});
afterAll(() => rm(folder, { recursive: true }));

let stores = 0;
/** A file of deploy/nats, with paths, names and ports of this machine. */
async function configOf(name: string, places: Record<string, string>): Promise<string> {
  const store = join(folder, `store${++stores}`);
  let text = await readFile(join(root, 'deploy/nats', name), 'utf8');
  const here = {
    '/etc/nats': folder,
    '/var/lib/nats': store,
    'include "./users.conf"': await readFile(join(folder, 'users.conf'), 'utf8'),
    ...places,
  };
  for (const [from, to] of Object.entries(here)) {
    expect(text, `${name} names ${from}`).toContain(from);
    text = text.replaceAll(from, to);
  }
  return text;
}

async function start(config: string): Promise<NatsServer> {
  const server = await startNatsServer({ config });
  onTestFinished(() => server.stop());
  return server;
}
const urlOf = ({ port }: NatsServer): string => `tls://127.0.0.1:${port}`;

const asAdmin = (server: NatsServer): Promise<Bus> =>
  useBus(urlOf(server), { env: { NATS_URL: urlOf(server), ...env.admin } });

async function makeLocks(server: NatsServer, replicas: number): Promise<void> {
  const buckets = new Kvm(jetstream((await asAdmin(server)).nc, { timeout: 20_000 }));
  await buckets.create(locksBucket, { history: 1, ttl: 4000, replicas });
  await buckets.create(hostsBucket, { history: 1, replicas });
}
async function makeStatus(server: NatsServer, replicas: number): Promise<void> {
  const buckets = new Kvm(jetstream((await asAdmin(server)).nc, { timeout: 20_000 }));
  await buckets.create(statusBucket, { history: 1, replicas });
}

/** The fleet is seen from that server. */
async function expectSeen(server: NatsServer): Promise<void> {
  const admin = await asAdmin(server);
  const seen = async () => (await readStatus(admin))?.found.map((one) => [statusKey(one), one.entry.lag?.snapshots]);
  const key = statusKey({ source: 'src', target: 'dst', dataset: 'pool/a', into: 'pool/a' });
  await expect.poll(seen, { timeout: 15_000 }).toEqual([[key, 0]]);
}

/** Two hosts, of which src has a snapshot. */
async function makeHosts(): Promise<{ source: SimHost; target: SimHost }> {
  const [source, target] = [await makeSimHost('src'), await makeSimHost('dst')];
  for (const host of [source, target]) {
    onTestFinished(() => host.remove());
    await host.zpool('create', 'pool');
  }
  await source.zfs('create', 'pool/a');
  await source.zfs('snapshot', 'pool/a@1');
  return { source, target };
}

async function run(service: 'sender' | 'receiver', host: SimHost, server: NatsServer, more: NodeJS.ProcessEnv = {}) {
  const ours = { NATS_URL: urlOf(server), ...env[host.name], ...quick, ZPSEND_ALLOW: '*=pool', ...more };
  const running = await startService(service, { ...host.env, ...ours });
  onTestFinished(async () => void (await running.end('SIGTERM')));
}

/** A job of src, from its request to its end. */
async function jobOf(server: NatsServer, more: Partial<SendStart> = {}): Promise<unknown> {
  const admin = await asAdmin(server);
  const ask = async (verb: 'start' | 'status', body: object) =>
    (await admin.nc.request(subjects.send('src', verb), JSON.stringify(body), { timeout: 10_000 })).json();
  const { job } = sendStartedSchema.parse(await ask('start', { dataset: 'pool/a', to: { host: 'dst' }, ...more }));
  for (;;) {
    const [known] = sendStatusSchema.parse(await ask('status', { job })).jobs;
    if (known && ['done', 'failed'].includes(known.state)) return known.error ?? known.state;
  }
}

const hasArrived = (target: SimHost): Promise<string> => target.zfs('list', '-H', '-o', 'name', 'pool/a@1');

/** A snapshot travels from src, at one server, to dst, at another. */
async function expectToWork(from: NatsServer, to: NatsServer): Promise<void> {
  const { source, target } = await makeHosts();
  await run('sender', source, from);
  await run('receiver', target, to);
  // the servers learn of each other's hosts a little later, and an absent host ends the job at once
  await expect.poll(() => jobOf(from), { timeout: 60_000, interval: 500 }).toBe('done');
  expect(await hasArrived(target)).toBe('pool/a@1');
}

test('one server', async () => {
  const server = await start(await configOf('one.conf', {}));
  await makeLocks(server, 1);
  await makeStatus(server, 1);
  await expectToWork(server, server);
  await expectSeen(server);
}, 120_000);

test('a cluster of three', async () => {
  const ports = [await freePort(), await freePort(), await freePort()];
  const servers = await Promise.all(
    ports.map(async (port, at) => {
      const places = Object.fromEntries(
        ports.map((other, index) => [`nats-${index + 1}.example:6222`, `127.0.0.1:${other}`]),
      );
      return start(
        await configOf('cluster.conf', {
          $SERVER_NAME: `nats-${at + 1}`,
          '0.0.0.0:6222': `127.0.0.1:${port}`,
          ...places,
        }),
      );
    }),
  );
  const [one, two, three] = servers;
  if (!one || !two || !three) throw new Error('three servers');
  await makeLocks(one, 3);
  await makeStatus(one, 3);
  await expectToWork(two, three);
  await expectSeen(one);
}, 120_000);

/** The hub's bucket takes in those of the sites. */
async function makeStatusAtHub(hub: NatsServer): Promise<void> {
  const config = await readFile(join(root, 'deploy/nats/status-hub.json'), 'utf8');
  const made = await (await asAdmin(hub)).nc.request('$JS.API.STREAM.CREATE.KV_zfs-status', config);
  expect(made.json()).not.toHaveProperty('error');
}

async function startSites(makeHubsStatus = makeStatusAtHub): Promise<{ hub: NatsServer; leaf: NatsServer }> {
  const port = await freePort();
  const hub = await start(
    await configOf('hub.conf', { $LEAF_NKEY: await keyOf('leaf'), '0.0.0.0:7422': `127.0.0.1:${port}` }),
  );
  const seed = await readFile(join(folder, 'leaf.nk'), 'utf8');
  const leaf = await start(
    await configOf('leaf.conf', { $LEAF_SEED: seed, $SITE: 'site-a', 'hub.example:7422': `127.0.0.1:${port}` }),
  );
  for (const server of [hub, leaf]) await makeLocks(server, 1);
  await makeStatus(leaf, 1);
  await makeHubsStatus(hub);
  return { hub, leaf };
}

test('a hub and a leaf: the locks of a host are where the host is', async () => {
  const { hub, leaf } = await startSites();
  await expectToWork(hub, leaf);
  const revisions = async (server: NatsServer): Promise<number> => {
    const admin = await asAdmin(server);
    return (await (await new Kvm(jetstream(admin.nc)).open(locksBucket)).status()).streamInfo.state.last_seq;
  };
  expect(await revisions(leaf)).toBeGreaterThan(0);
  expect(await revisions(hub)).toBe(0);
}, 120_000);

test('a leaf and a hub: the hub shows what a site sends', async () => {
  const { hub, leaf } = await startSites();
  await expectToWork(leaf, hub);
  await expectSeen(hub);
}, 120_000);

test('a site that was offline fetches its streams from the store at the hub', async () => {
  // its status bucket has no sources, so the site writes its receipts at the hub
  const { hub, leaf } = await startSites((at) => makeStatus(at, 1));
  await createStreamsBucket(await asAdmin(hub), 'src', {
    maxBytes: 256 * 1024 * 1024,
    maxAgeSeconds: 3600,
    replicas: 1,
  });
  const { source, target } = await makeHosts();
  await run('sender', source, hub);
  await expect.poll(() => jobOf(hub, { channel: 'store' }), { timeout: 60_000, interval: 500 }).toBe('done');
  const list = async () => {
    const argv = [program, 'store', 'ls', 'src', '--js-domain', 'hub', '--json'];
    const { stdout } = await execa(process.execPath, argv, { env: { NATS_URL: urlOf(leaf), ...env.admin } });
    return fetchOutputSchema.parse(JSON.parse(stdout)).streams.map(({ snapshot }) => snapshot);
  };
  expect(await list()).toEqual(['pool/a@1']);
  const file = join(folder, 'zpsend.yaml');
  await writeFile(file, 'receive: { storeDomains: [hub] }\n');
  await run('receiver', target, leaf, { ZPSEND_CONFIG: file });
  await expect.poll(() => hasArrived(target).catch(() => ''), { timeout: 30_000 }).toBe('pool/a@1');
  // the receipts are where the sender reads them
  await expect.poll(list, { timeout: 30_000, interval: 500 }).toEqual([]);
}, 120_000);

const hasSystemd = execaSync('systemd-analyze', ['--version'], { reject: false }).exitCode === 0;
test.skipIf(!hasSystemd).each(['sender', 'receiver'])('the unit of the %s', async (service) => {
  const { all, exitCode } = await execa(
    'systemd-analyze',
    ['verify', '--man=no', join(root, `deploy/systemd/zpsend-${service}.service`)],
    { reject: false, all: true },
  );
  expect(all).toBe('');
  expect(exitCode).toBe(0);
});
