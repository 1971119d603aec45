import { chmodSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { expect, onTestFailed, onTestFinished, test } from 'vitest';
import { openLocks } from '../../lib/bus/locks/locks.ts';
import { request } from '../../lib/bus/rpc/request.ts';
import { parseStoredName, subjects } from '../../lib/bus/subjects.ts';
import { policiesSchema } from '../../schemas/policy.ts';
import { type NatsServer, startNatsServer } from '../../tools/nats-server/start.ts';
import { isReal, lab, MIB } from '../contract/zfs-under-test.ts';
import { useBus } from '../support/bus.ts';
import { useFleet } from '../support/fleet.ts';
import { freePort } from '../support/free-port.ts';
import type { ServiceProcess } from '../support/service.ts';
import { streamsOf } from '../support/streams.ts';
import { configured, startHere } from './services.ts';
import { startZed } from './zed.ts';

const zfs = lab();
const source = () => `${zfs.source}/vm`;
const names = ['', '/a', '/my data'];
/** Five services, two NATS servers and zed share one emulated processor: all of it takes a quarter of an hour there. */
const patience = { timeout: 600_000 };

/** Ends with the test, and prints its log when that fails. */
function watched(service: ServiceProcess): ServiceProcess {
  onTestFailed(() => console.error(service.log.slice(-40).join('\n')));
  onTestFinished(async () => void (await service.end()));
  return service;
}

/** A server in the middle, and one of a site, each with its own JetStream. */
async function startSites(): Promise<{ hub: NatsServer; leaf: NatsServer }> {
  const port = await freePort();
  const started = async (config: string): Promise<NatsServer> => {
    const store = mkdtempSync(join(tmpdir(), 'zpsend-site-'));
    const server = await startNatsServer({ config: config.replace('STORE', store) });
    onTestFinished(() => server.stop());
    return server;
  };
  const hub = await started(
    `jetstream { store_dir: "STORE", domain: hub }\nleafnodes { listen: "127.0.0.1:${port}" }\nserver_name: hub\n`,
  );
  const locks = '["$KV.zfs-locks.>"]';
  const remote = `{ url: "nats://127.0.0.1:${port}", deny_imports: ${locks}, deny_exports: ${locks} }`;
  const leaf = await started(
    `jetstream { store_dir: "STORE", domain: site-c }\nleafnodes { remotes: [${remote}] }\nserver_name: site-c\n`,
  );
  return { hub, leaf };
}

/** First on a sender's PATH: a `zfs` that records each send, except dry runs. @returns what was sent */
function useCounted(): { path: string; sends: () => string[] } {
  const folder = mkdtempSync(join(tmpdir(), 'zpsend-sends-'));
  const log = join(folder, 'log');
  writeFileSync(log, '');
  const dry = '*" -n"*';
  const script = `#!/bin/bash\n[[ $1 == send && " $*" != ${dry} ]] && echo "$*" >>${log}\nPATH=\${PATH#*:} exec zfs "$@"\n`;
  writeFileSync(join(folder, 'zfs'), script);
  chmodSync(join(folder, 'zfs'), 0o755);
  return { path: folder, sends: () => readFileSync(log, 'utf8').split('\n').slice(0, -1) };
}

/** `nats pub SUBJECT BODY` of the nats CLI where NATS_CLI_BIN names one, or by the protocol itself. */
const natsFor = ({ port }: NatsServer): string =>
  process.env.NATS_CLI_BIN
    ? `#!/bin/sh\nHOME=/tmp exec ${process.env.NATS_CLI_BIN} "$@"\n`
    : `#!/bin/bash\nexec 3<>/dev/tcp/127.0.0.1/${port}\n` +
      `printf 'CONNECT {"verbose":false}\\r\\nPUB %s %d\\r\\n%s\\r\\nPING\\r\\n' "$2" "\${#3}" "$3" >&3\n` +
      `while read -r line <&3; do [[ $line == PONG* ]] && exit; done\n`;

test('one snapshot reaches three sites by itself, one of them behind a leaf, with one send a step; a fourth catches up when the source is away', async () => {
  const { hub, leaf } = await startSites();
  const fleet = await useFleet(hub.url);
  const pools = { 'smos-a': zfs.target, 'smos-b': 'siteb', 'smos-c': 'sitec', 'smos-d': 'sited' };
  const sites = Object.entries(pools).map(([host, pool]) => ({
    host,
    dataset: `${pool === zfs.target ? pool : zfs.pool(pool, 128 * MIB)}/vm`,
  }));
  const away = sites[3];
  if (!away) throw new Error('four sites');
  const receive = async ({ host, dataset }: { host: string; dataset: string }): Promise<ServiceProcess> => {
    const { url } = host === 'smos-c' ? leaf : hub;
    return watched(await startHere(zfs, url, 'receiver', host, { ZPSEND_ALLOW: `smos-01=${dataset}` }));
  };
  const receivers: ServiceProcess[] = [];
  // an emulated machine starts one after another sooner than all at once
  for (const site of sites) receivers.push(await receive(site));

  for (const name of names) zfs.ok('create', source() + name);
  const { path, sends } = useCounted();
  const policies = [{ dataset: source(), recursive: true, to: sites, channel: 'auto' }];
  const startSender = () =>
    startHere(zfs, hub.url, 'sender', 'smos-01', {
      ...configured(JSON.stringify({ send: { policies } })),
      PATH: [path, zfs.env.PATH].join(delimiter),
    });
  const sender = watched(await startSender());
  if (isReal) {
    mkdirSync('/etc/zpsend', { recursive: true });
    writeFileSync('/etc/zpsend/env', `NATS_URL=${hub.url}\nZPSEND_HOST=smos-01\n`);
    startZed(natsFor(hub));
  }

  const rested = () =>
    expect
      .poll(async () => {
        const { policies } = await request(fleet.bus, subjects.send('smos-01', 'policies'), {}, policiesSchema, 30_000);
        return policies.flatMap(({ targets }) => targets.filter(({ state }) => state !== 'resting'));
      }, patience)
      .toEqual([]);
  const snapshot = (name: string): void => {
    for (const below of names) zfs.write(source() + below, 100_000);
    zfs.ok('snapshot', '-r', `${source()}@${name}`);
    if (isReal) return;
    for (const below of names) fleet.bus.nc.publish(subjects.snapshotCreated('smos-01'), `${source()}${below}@${name}`);
  };
  const guids = (dataset: string): string[] =>
    zfs
      .zfs('list', '-Hp', '-r', '-t', 'snapshot', '-o', 'name,guid', dataset)
      .stdout.split('\n')
      .map((line) => line.replace(dataset, 'vm'));
  const arrived = async ({ dataset }: { dataset: string }, snapshots: readonly string[]) => {
    await expect.poll(() => guids(dataset), patience).toEqual(guids(source()));
    for (const name of snapshots) {
      for (const below of names) {
        expect(zfs.digest(`${dataset}${below}@${name}`)).toBe(zfs.digest(`${source()}${below}@${name}`));
      }
    }
  };

  await rested();
  snapshot('1');
  for (const site of sites) await arrived(site, ['1']);
  await rested();
  expect(sends()).toHaveLength(names.length);

  await receivers[3]?.end();
  snapshot('2');
  for (const site of sites.slice(0, 3)) await arrived(site, ['1', '2']);
  const streams = await streamsOf(fleet.bus, 'smos-01');
  const waiting = async () =>
    (await streams.names()).filter((name) => parseStoredName(name)?.kind === 'manifest').length;
  await expect.poll(waiting, patience).toBe(names.length);
  await rested();
  expect(sends()).toHaveLength(2 * names.length);
  expect(guids(away.dataset)).not.toEqual(guids(source()));

  await sender.end();
  await receive(away);
  await arrived(away, ['1', '2']);

  // back again, the source clears its store and has nothing to send
  watched(await startSender());
  await expect.poll(waiting, patience).toBe(0);
  await rested();
  expect(sends()).toHaveLength(2 * names.length);
  const all = names.flatMap((below) => ['1', '2'].map((name) => `${source()}${below}@${name}`));
  expect(zfs.ok('holds', '-H', ...all)).toEqual([]);
  for (const { url } of [hub, leaf]) {
    const locks = await openLocks(await useBus(url), 15);
    await expect.poll(() => locks.list()).toEqual([]);
  }
}, 2_400_000);
