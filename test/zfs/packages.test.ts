import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { openLocks } from '../../lib/bus/locks/locks.ts';
import { createZfs } from '../../lib/zfs/zfs.ts';
import type { SendRequest } from '../../schemas/request.ts';
import { isReal, lab, MIB } from '../contract/zfs-under-test.ts';
import { type Fleet, useFleet } from '../support/fleet.ts';
import { useNatsServer } from '../support/nats-server.ts';
import type { ServiceProcess } from '../support/service.ts';
import { fast, slow, startHere } from './services.ts';

const server = useNatsServer();
const z = lab(1024 * MIB);
const zfs = createZfs({ host: 'here', env: z.env });

let receiver: ServiceProcess;
let sender: ServiceProcess;
const start = (service: 'sender' | 'receiver', host: string) => startHere(z, server().url, service, host);
beforeAll(async () => {
  [receiver, sender] = await Promise.all([start('receiver', 'smos-00'), start('sender', 'smos-01')]);
  documentTree();
});
afterAll(async () => {
  await Promise.all([receiver.end(), sender.end()]);
});
beforeEach(fast);

const inPool = (command: string) => command.replaceAll('pool', z.source).split(' ');

/** The tree of "Types of ZFS Snapshot Streams", in the order of its table; each snapshot has its own content. */
function documentTree(): void {
  const steps = [
    ...['create pool/a', 'create pool/a/1', 'write pool/a/1', 'snapshot pool/a/1@clone'],
    ...['create pool/b', 'write pool/b', 'clone pool/a/1@clone pool/b/1', 'write pool/b/1', 'snapshot pool/b/1@clone2'],
    ...['clone pool/b/1@clone2 pool/b/2', 'write pool/b/2', 'snapshot -r pool/b@pre-send'],
    ...['write pool/b', 'write pool/b/1', 'write pool/b/2', 'snapshot -r pool/b@send'],
  ];
  for (const [verb = '', ...words] of steps.map(inPool)) {
    if (verb === 'write') z.write(words[0] ?? '', 20_000);
    else z.ok(verb, ...words);
  }
}

/** What the target has below one place, with the source's names for it. */
async function tree(root: string, as: string) {
  const datasets = await zfs.list({ dataset: root, recursive: true });
  return datasets.map(({ name, origin, snapshots }) => ({
    name: `${as}${name.slice(root.length)}`,
    origin: origin?.guid,
    snapshots: snapshots.map((one) => `${one.name} ${one.guid}`),
  }));
}

/** Every snapshot below `root` on the target holds the same files as the source's. */
function expectContents(root: string): void {
  const names = z.ok('list', '-Hp', '-r', '-t', 'snapshot', '-o', 'name', root);
  expect(names.length).toBeGreaterThan(0);
  for (const name of names) expect(z.digest(name), name).toBe(z.digest(`${z.source}/b${name.slice(root.length)}`));
}

async function expectNoTrace(fleet: Fleet): Promise<void> {
  const all = z.ok('list', '-Hp', '-r', '-t', 'snapshot', '-o', 'name', z.source);
  expect(z.ok('holds', '-H', ...all)).toEqual([]);
  const locks = await openLocks(fleet.bus, 15);
  await expect.poll(() => locks.list(), { timeout: 60_000 }).toEqual([]);
}

/** A parent on the target for each test, and requests that go there. */
let places = 0;
function place() {
  const root = `${z.target}/p${places++}`;
  z.ok('create', root);
  // what one test leaves would be an origin for the next
  onTestFinished(() => void z.ok('destroy', '-r', root));
  const b = `${root}/b`;
  const ask = (
    dataset: string,
    more: Partial<SendRequest> = {},
    into = dataset.split('@')[0]?.replace('pool', root),
  ) => ({
    dataset: dataset.replace('pool', z.source),
    to: { host: 'smos-00', dataset: into },
    ...more,
  });
  return { root, b, ask };
}

const replication = { package: 'replication' } as const;
const recursive = { package: 'recursive' } as const;

const whole = ['clone2', 'pre-send', 'send'];
const packages = [
  ['-R', replication, true, { b: ['pre-send', 'send'], 'b/1': whole, 'b/2': ['pre-send', 'send'] }, 7],
  [
    '-Rc',
    { ...replication, selfContained: true },
    false,
    { b: ['pre-send', 'send'], 'b/1': whole, 'b/2': ['pre-send', 'send'] },
    7,
  ],
  ['-r', recursive, true, { b: ['send'], 'b/1': ['clone2', 'send'], 'b/2': ['send'] }, 4],
  ['-rc', { ...recursive, selfContained: true }, false, { b: ['send'], 'b/1': ['clone2', 'send'], 'b/2': ['send'] }, 4],
] as const;

describe("the document's tree", () => {
  test.each(packages)(
    '%s arrives in an empty place, and what is missing of it where a part is there',
    async (_, kind, needsOrigin, has, steps) => {
      const fleet = await useFleet(server().url);
      const { root, b, ask } = place();
      if (needsOrigin) {
        expect(await fleet.send('smos-01', ask('pool/b@send', kind))).toMatchObject({
          state: 'failed',
          done: 0,
          bytes: 0,
          error: { code: 'ORIGIN_MISSING', details: { clone: `${z.source}/b/1`, origin: `${z.source}/a/1@clone` } },
        });
        expect(z.zfs('list', b).exit).toBe(1);
        z.ok('create', `${root}/a`);
        expect(await fleet.send('smos-01', ask('pool/a/1'))).toMatchObject({ state: 'done', done: 1 });
      }
      expect(await fleet.send('smos-01', ask('pool/b@send', kind))).toMatchObject({ state: 'done', done: steps });
      const arrived = await tree(b, 'b');
      expect(
        Object.fromEntries(arrived.map(({ name, snapshots }) => [name, snapshots.map((one) => one.split(' ')[0])])),
      ).toEqual(has);
      const sent = await tree(`${z.source}/b`, 'b');
      for (const { name, snapshots, origin } of arrived) {
        const twin = sent.find((one) => one.name === name);
        expect(twin?.snapshots, name).toEqual(expect.arrayContaining(snapshots));
        expect(origin, name).toBe(name === 'b/1' && !needsOrigin ? undefined : twin?.origin);
      }
      expectContents(b);
      expect(await fleet.send('smos-01', ask('pool/b@send', kind))).toMatchObject({ state: 'done', done: 0, bytes: 0 });

      // a part of it: one dataset has gone, another lacks its end
      z.ok('destroy', '-r', `${b}/2`);
      z.ok('rollback', '-r', `${b}/1@${has['b/1'].at(-2)}`);
      const rest = await fleet.send('smos-01', ask('pool/b@send', kind));
      expect(rest.datasets.list.filter(({ error }) => error)).toEqual([]);
      expect(rest).toMatchObject({ state: 'done', done: has['b/2'].length + 1 });
      expect(await tree(b, 'b')).toEqual(arrived);
      expectContents(b);
      await expectNoTrace(fleet);
    },
  );

  test('--full and -i bring the one snapshot they name, also where a part is there', async () => {
    const fleet = await useFleet(server().url);
    const { b, ask } = place();
    expect(await fleet.send('smos-01', ask('pool/b@pre-send', { full: true }))).toMatchObject({
      state: 'done',
      done: 1,
    });
    expect(await fleet.send('smos-01', ask('pool/b@send', { from: '@pre-send' }))).toMatchObject({
      state: 'done',
      done: 1,
    });
    for (const more of [{ full: true }, { from: '@pre-send' }]) {
      expect(await fleet.send('smos-01', ask('pool/b@send', more))).toMatchObject({ state: 'done', done: 0 });
    }
    expect(await tree(b, 'b')).toEqual((await tree(`${z.source}/b`, 'b')).slice(0, 1));
    expectContents(b);
  });
});

test('missing parents are made, empty and never mounted, and volumes come with filesystems', async () => {
  const fleet = await useFleet(server().url);
  const { root, ask } = place();
  for (const command of ['create pool/v', 'create -V 1M pool/v/vol', 'snapshot -r pool/v@s']) z.ok(...inPool(command));
  const into = `${root}/x/y/v`;
  expect(await fleet.send('smos-01', ask('pool/v@s', replication, into))).toMatchObject({ state: 'done', done: 2 });
  expect(await tree(into, 'v')).toEqual(await tree(`${z.source}/v`, 'v'));
  expect(z.value('type', `${into}/vol`)).toBe('volume');
  for (const parent of [`${root}/x`, `${root}/x/y`]) {
    expect(z.value('canmount', parent)).toBe('off');
    if (isReal) expect(z.value('mounted', parent)).toBe('no');
  }
});

test('I9: a package killed three times at some point is completed by the same command, with no hold and no lock left', async () => {
  const fleet = await useFleet(server().url);
  const { root, ask } = place();
  const many = Array.from({ length: 3 }, (_, at) => `pool/m/${at}`);
  for (const dataset of ['pool/m', ...many]) z.ok(...inPool(`create ${dataset}`));
  for (let at = 0; at < 4; at++) {
    for (const dataset of many) z.write(inPool(dataset)[0] ?? '', 200_000);
    z.ok(...inPool(`snapshot -r pool/m@s${at}`));
  }
  const request = ask('pool/m@s3', replication);
  let before = 0;
  for (const steps of [2, 3, 3]) {
    slow(MIB);
    const job = await fleet.begin('smos-01', request);
    await expect
      .poll(async () => (await fleet.status('smos-01', job))?.done ?? 0, { timeout: 200_000 })
      .toBeGreaterThanOrEqual(steps);
    before += (await fleet.status('smos-01', job))?.done ?? 0;
    await sender.end('SIGKILL');
    sender = await start('sender', 'smos-01');
  }
  fast();
  const last = await fleet.send('smos-01', request);
  expect(last).toMatchObject({ state: 'done' });
  // a step that was killed after it had arrived counts for neither job
  expect(last.done + before).toBeGreaterThanOrEqual(16 - 3 * 2);
  expect(last.done + before).toBeLessThanOrEqual(16);
  expect(await tree(`${root}/m`, 'm')).toEqual(await tree(`${z.source}/m`, 'm'));
  await expectNoTrace(fleet);
});
