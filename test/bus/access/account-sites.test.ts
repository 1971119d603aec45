import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { jetstreamManager } from '@nats-io/jetstream';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { releaseFaults } from '../../../lib/bus/connection/server-release.ts';
import { locksBucket, subjects } from '../../../lib/bus/subjects.ts';
import { sendStartedSchema, sendStatusSchema } from '../../../schemas/job.ts';
import { type NatsServer, startNatsServer } from '../../../tools/nats-server/start.ts';
import { type AccountFleet, type FleetHostInput, makeAccountFleet } from '../../support/account-fleet.ts';
import { useBus } from '../../support/bus.ts';
import { quick } from '../../support/fleet.ts';
import { freePort } from '../../support/free-port.ts';
import { program } from '../../support/program.ts';
import { startService } from '../../support/service.ts';
import { makeSimHost, type SimHost } from '../../support/sim-host.ts';

/**
 * A cluster of three, and two sites whose servers are connected to different servers of it: where nats-server has lost answers
 * (nats-server#8317) and given one request to several of a queue group (nats-server#5802).
 */
const middle = ['nats-1', 'nats-2', 'nats-3'];
const sites = { 'site-a': 'nats-1', 'site-b': 'nats-2' } as const;
const siteOf = {
  alfa: 'site-a',
  anna: 'site-a',
  carl: 'site-b',
  dora: 'nats-3',
  ops: 'nats-3',
  looker: 'nats-1',
} as const;
type Name = keyof typeof siteOf;
const hosts: Readonly<Record<string, FleetHostInput>> = {
  alfa: { roles: ['sender'], site: 'site-a' },
  anna: { roles: ['receiver'], site: 'site-a' },
  carl: { roles: ['receiver'], from: ['alfa'], site: 'site-b' },
  dora: { roles: ['receiver'], from: ['alfa'] },
};

let fleet: AccountFleet;
const servers = new Map<string, NatsServer>();

const urlOf = (name: Name): string => servers.get(siteOf[name])?.url ?? '';
const envOf = (name: Name): NodeJS.ProcessEnv => ({ ...fleet.env[name], NATS_URL: urlOf(name) });
const as = async (name: Name) => (await useBus(urlOf(name), { host: name, env: envOf(name) })).nc;

/** What is printed, with ports and folders of this machine. */
function here(text: string, changes: Readonly<Record<string, string>>): string {
  return Object.entries(changes).reduce((now, [printed, actual]) => {
    expect(now).toContain(printed);
    return now.replaceAll(printed, actual);
  }, text);
}

async function startMiddle(): Promise<Record<string, number>> {
  const ports = await Promise.all(middle.map(async (name) => [name, await freePort()] as const));
  const leafs = await Promise.all(middle.map(async (name) => [name, await freePort()] as const));
  const routes = Object.fromEntries(ports.map(([name, port]) => [`${name}.example:6222`, `127.0.0.1:${port}`]));
  await Promise.all(
    ports.map(async ([name, port], at) => {
      const text = here(fleet.configs[name] ?? '', {
        ...routes,
        '0.0.0.0:6222': `127.0.0.1:${port}`,
        '0.0.0.0:7422': `127.0.0.1:${leafs[at]?.[1]}`,
        [join(fleet.folder, 'jetstream')]: join(fleet.folder, 'jetstream', name),
      });
      servers.set(name, await startNatsServer({ config: text, readyWithin: 120_000 }));
    }),
  );
  return Object.fromEntries(leafs);
}

/** Each site knows one server of the cluster only. */
async function startSites(leafs: Record<string, number>): Promise<void> {
  const seeds: Record<string, string> = {};
  for (const [name, { site }] of Object.entries(hosts)) {
    if (site === undefined) continue;
    seeds[name] = `nkey: ${await readFile(join(fleet.folder, `${name}-link.nk`), 'utf8')}`;
  }
  for (const [site, to] of Object.entries(sites)) {
    const all = middle.map((name) => JSON.stringify(`nats-leaf://${name}.example:7422`)).join(', ');
    const text = here(fleet.configs[site] ?? '', {
      [all]: JSON.stringify(`nats-leaf://127.0.0.1:${leafs[to]}`),
      // an included file lies beside the configuration, which is in a folder of the server's own here
      ...Object.fromEntries(
        Object.entries(seeds).flatMap(([name, seed]) =>
          siteOf[name as Name] === site ? [[`include "./links/${name}.conf"`, seed]] : [],
        ),
      ),
    });
    servers.set(site, await startNatsServer({ config: text }));
    if (site !== 'site-a') continue;
    // another server of the same site, connected to another server of the cluster
    const second = here(text, {
      [`127.0.0.1:${leafs[to]}`]: `127.0.0.1:${leafs['nats-2']}`,
      [`"${site}"`]: '"site-a-2"',
    });
    servers.set('site-a-2', await startNatsServer({ config: second }));
  }
}

beforeAll(async () => {
  const address = (name: string) => ({ name, address: `${name}.example` });
  fleet = await makeAccountFleet({
    servers: middle.map(address),
    sites: Object.keys(sites).map(address),
    hosts,
    more: (folder) => ({
      jetstream: { folder: join(folder, 'jetstream') },
      buckets: { lockSeconds: 4, storeSize: '128M', maxBucketSize: '16M' },
    }),
  });
  await startSites(await startMiddle());
}, 240_000);
afterAll(async () => {
  await Promise.all([...servers.values()].map((server) => server.stop()));
  await fleet?.remove();
});

test('the buckets of the fleet are made, in three copies', async () => {
  const setup = async () =>
    (await execa(process.execPath, [program, 'deploy', 'setup', fleet.file], { env: envOf('ops'), reject: false }))
      .exitCode;
  await expect.poll(setup, { timeout: 60_000, interval: 1000 }).toBe(0);
  const locks = await (await jetstreamManager(await as('ops'))).streams.info(`KV_${locksBucket}`);
  expect(locks.config.num_replicas).toBe(3);
}, 120_000);

test.each<[Name, Name]>([
  ['alfa', 'carl'],
  ['alfa', 'dora'],
  ['alfa', 'anna'],
  ['dora', 'alfa'],
  ['ops', 'carl'],
  ['looker', 'alfa'],
])(
  'what %s asks of %s, each at another server, is answered in all its parts',
  async (asker, host) => {
    const answering = await as(host);
    const subject = ['ops', 'looker'].includes(asker) ? subjects.snapshots(host) : subjects.snapshotsFrom(host, asker);
    answering.subscribe(subject, {
      queue: 'q',
      callback: (_error, message) => {
        for (const part of ['one', 'two', '']) message.respond(part);
      },
    });
    await answering.flush();
    const asking = await as(asker);
    const answersOf = async (): Promise<string[]> => {
      const answers: string[] = [];
      const over = Promise.withResolvers<void>();
      const inbox = `${fleet.env[asker]?.ZPSEND_INBOX_PREFIX}.${Math.random().toString(36).slice(2)}`;
      const subscription = asking.subscribe(inbox, {
        callback: (_error, message) => {
          if (message.data.length === 0) over.resolve();
          else answers.push(message.string());
        },
      });
      asking.publish(subject, '', { reply: inbox });
      const timer = setTimeout(over.resolve, 2000);
      await over.promise;
      clearTimeout(timer);
      subscription.unsubscribe();
      return answers;
    };
    // servers learn of each other's interest in their own time
    await expect.poll(answersOf, { timeout: 20_000 }).toEqual(['one', 'two']);
    for (let at = 0; at < 20; at += 1) expect(await answersOf()).toEqual(['one', 'two']);
  },
  60_000,
);

test.each<[Name, Name]>([
  ['alfa', 'carl'],
  ['alfa', 'anna'],
  ['ops', 'dora'],
])(
  'of two instances of one host one is given each request, asked by %s of %s',
  async (asker, host) => {
    const had = [new Map<string, number>(), new Map<string, number>()];
    for (const counts of had) {
      const instance = await as(host);
      instance.subscribe(subjects.info(host), {
        queue: 'q',
        callback: (_error, message) => {
          counts.set(message.string(), (counts.get(message.string()) ?? 0) + 1);
          message.respond('here');
        },
      });
      await instance.flush();
    }
    const asking = await as(asker);
    const ask = (text: string) =>
      asking.request(subjects.info(host), text, { timeout: 4000 }).then((reply) => reply.string());
    await expect.poll(() => ask('first').catch(() => ''), { timeout: 20_000 }).toBe('here');
    const asked = Array.from({ length: 60 }, (_, at) => `${at}`);
    await Promise.all(asked.map(ask));
    for (const text of asked) expect(had.reduce((sum, counts) => sum + (counts.get(text) ?? 0), 0)).toBe(1);
    for (const counts of had) expect(counts.size).toBeGreaterThan(5);
  },
  60_000,
);

test('an answer comes to a connection of another server of the site than asked, but before nats-server#8317', async () => {
  const answering = await as('dora');
  answering.subscribe(subjects.info('dora'), { callback: (_error, message) => void message.respond('here') });
  await answering.flush();
  const listening = await as('alfa');
  const asking = (
    await useBus(servers.get('site-a-2')?.url ?? '', {
      env: { ...fleet.env.alfa, NATS_URL: servers.get('site-a-2')?.url },
    })
  ).nc;
  const received: string[] = [];
  const inbox = '_INBOX.alfa.elsewhere';
  listening.subscribe(inbox, { callback: (_error, message) => void received.push(message.string()) });
  await listening.flush();
  const faults = releaseFaults(asking.info?.version ?? '').map(({ what }) => what);
  const answered = async () => {
    const before = received.length;
    asking.publish(subjects.info('dora'), '', { reply: inbox });
    // the route exists, whether or not the answer to that inbox is lost
    await asking.request(subjects.info('dora'), '', { timeout: 2000 });
    return received.length > before;
  };
  const seen = () => answered().catch(() => false);
  if (faults.includes('answers lost')) for (let at = 0; at < 20; at += 1) expect(await seen()).toBe(false);
  else await expect.poll(seen, { timeout: 20_000 }).toBe(true);
}, 60_000);

async function simHost(name: string): Promise<SimHost> {
  const host = await makeSimHost(name);
  onTestFinished(() => host.remove());
  await host.zpool('create', 'pool');
  return host;
}

test('a host of one site sends to another of its site, to another site, to the middle, and into the store for both', async () => {
  const source = await simHost('alfa');
  const targets = [await simHost('anna'), await simHost('carl'), await simHost('dora')];
  await source.zfs('create', 'pool/a');
  await source.zfs('set', 'zfs-sim:write=3000000', 'pool/a');
  await source.zfs('snapshot', 'pool/a@1');
  for (const [service, host] of [['sender', source], ...targets.map((host) => ['receiver', host])] as [
    'sender' | 'receiver',
    SimHost,
  ][]) {
    const env = { ...host.env, ...envOf(host.name as Name), ...quick, ZPSEND_ALLOW: '*=pool' };
    const running = await startService(service, env);
    onTestFinished(async () => void (await running.end('SIGTERM')));
  }
  const admin = await as('ops');
  const ask = async (verb: 'start' | 'status', body: object) =>
    (await admin.request(subjects.send('alfa', verb), JSON.stringify(body), { timeout: 20_000 })).json();
  const send = async (host: string, dataset: string, channel: 'direct' | 'store') => {
    const body = { dataset: 'pool/a', to: { host, dataset }, channel };
    const { job } = sendStartedSchema.parse(await ask('start', body));
    const state = async () => {
      const [known] = sendStatusSchema.parse(await ask('status', { job })).jobs;
      return known?.error ?? known?.state;
    };
    await expect.poll(state, { timeout: 60_000 }).toBe('done');
  };
  for (const { name } of targets) await send(name, 'pool/direct', 'direct');
  for (const name of ['carl', 'dora']) await send(name, 'pool/stored', 'store');
  for (const host of targets) {
    for (const dataset of ['pool/direct', ...(host.name === 'anna' ? [] : ['pool/stored'])]) {
      const arrived = () => host.zfs('list', '-H', '-o', 'name', `${dataset}@1`).catch(() => '');
      await expect.poll(arrived, { timeout: 60_000 }).toBe(`${dataset}@1`);
    }
  }
  for (const [name, { logs }] of servers)
    expect([name, logs.filter((line) => /Violation/.test(line))]).toEqual([name, []]);
}, 240_000);
