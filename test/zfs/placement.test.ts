import { spawnSync } from 'node:child_process';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { request } from '../../lib/bus/rpc/request.ts';
import { subjects } from '../../lib/bus/subjects.ts';
import { planPartSchema } from '../../schemas/plan.ts';
import { lab, MIB } from '../contract/zfs-under-test.ts';
import { type Fleet, useFleet } from '../support/fleet.ts';
import { useNatsServer } from '../support/nats-server.ts';
import type { ServiceProcess } from '../support/service.ts';
import { configured, startHere } from './services.ts';

const server = useNatsServer();
const z = lab(256 * MIB);

let services: ServiceProcess[] = [];
/** A pool without what only some datasets use; 2.1 does not know the last two features. */
let plain = '';
beforeAll(async () => {
  const lacking = ['large_dnode', 'zstd_compress', 'longname', 'large_microzap'].filter(knows);
  plain = z.pool('plain', 96 * MIB, ...lacking.flatMap((name) => ['-o', `feature@${name}=disabled`]));
  const allow = [z.target, plain].map((into) => `{ from: "*", into: ${into} }`);
  services = await Promise.all([
    startHere(z, server().url, 'receiver', 'smos-00', configured(`receive: { allow: [${allow}] }`)),
    startHere(z, server().url, 'sender', 'smos-01'),
  ]);
});
afterAll(async () => {
  await Promise.all(services.map((service) => service.end()));
});

/** Does this release have the feature? */
const knows = (feature: string): boolean =>
  /^(?:enabled|active|disabled)\n$/.test(z.zpool('get', '-H', '-o', 'value', `feature@${feature}`, z.source).stdout);

const there = (): string[] =>
  z
    .ok('list', '-Hp', '-r', '-t', 'filesystem,volume,snapshot', '-o', 'name', z.target)
    .map((name) => name.replace(z.target, 'pool'));

/** An emulated machine takes its time, in milliseconds. */
const patienceMs = 120_000;
const replyOf = (fleet: Fleet, body: object) =>
  request(fleet.bus, subjects.send('smos-01', 'plan'), body, planPartSchema, patienceMs);
const planOf = async (fleet: Fleet, body: object) => (await replyOf(fleet, body)).plan;

test('edge case 31: a tree onto a pool or an empty dataset is refused whole, and a placeholder takes what is new', async () => {
  const fleet = await useFleet(server().url);
  z.ok('create', '-p', `${z.source}/vm/a/x`);
  z.ok('snapshot', '-r', `${z.source}@s1`);
  z.ok('create', `${z.target}/empty`);
  const before = there();
  const to = (dataset: string, more: object = {}) => ({ host: 'smos-00', dataset, ...more });
  const tree = (dataset: string, place: object) => ({ dataset, to: place, package: 'replication' });
  const refused = [
    tree(`${z.source}/vm`, to(z.target)),
    tree(`${z.source}/vm`, to(`${z.target}/empty`)),
    tree(z.source, to(z.target)),
    tree(z.source, to(z.target, { append: 'path' })),
  ];
  for (const asked of refused) {
    expect(await planOf(fleet, asked)).toMatchObject({ ok: false, error: { code: 'EXISTS' } });
    const job = await fleet.send('smos-01', asked);
    expect(job).toMatchObject({ state: 'failed', done: 0, steps: 0, error: { code: 'EXISTS' } });
    expect(job.error?.message).toMatch(/-e \(/);
  }
  expect(there()).toEqual(before);

  // the remedy that the error names
  const below = tree(`${z.source}/vm`, to(z.target, { append: 'path' }));
  expect(await fleet.send('smos-01', below)).toMatchObject({ state: 'done', done: 3 });
  expect(there()).toContain('pool/vm/a/x@s1');

  // a part was sent first, so its parent is a placeholder: new datasets go below that, and the root is reported
  const part = { dataset: `${z.source}/vm/a/x`, to: to(`${z.target}/part/a/x`) };
  expect(await fleet.send('smos-01', part)).toMatchObject({ state: 'done', done: 1 });
  z.ok('create', `${z.source}/vm/new`);
  z.ok('snapshot', '-r', `${z.source}/vm@s2`);
  const whole = await fleet.send('smos-01', tree(`${z.source}/vm`, to(`${z.target}/part`)));
  expect(whole).toMatchObject({ state: 'failed', datasets: { total: 4, done: 2, failed: 2 } });
  expect(there()).toEqual(expect.arrayContaining(['pool/part/a/x@s2', 'pool/part/new@s2']));
});

test('edge case 35: a parent too deep to be made is refused before anything is; a dataset at that depth arrives', async () => {
  const fleet = await useFleet(server().url);
  z.ok('create', `${z.source}/deep`);
  z.ok('snapshot', `${z.source}/deep@1`);
  // to mount each of them would take minutes
  z.ok('create', '-o', 'mountpoint=none', `${z.target}/deep`);
  const name = (elements: number): string =>
    [`${z.target}/deep`, ...Array.from({ length: elements - 2 }, () => 'd')].join('/');
  const ask = (elements: number) => ({ dataset: `${z.source}/deep`, to: { host: 'smos-00', dataset: name(elements) } });
  const before = there();
  const error = { code: 'BAD_REQUEST', details: { elements: 51, most: 50 } };
  expect(await planOf(fleet, ask(52))).toMatchObject({ ok: false, error });
  expect(await fleet.send('smos-01', ask(52))).toMatchObject({ state: 'failed', steps: 0, error });
  expect(there()).toEqual(before);
  // 49 parents are there, so that the test need not wait for a receiver to make each
  z.ok('create', '-p', name(50));
  const { state, done, error: why } = await fleet.send('smos-01', ask(51));
  expect([state, done, why]).toEqual(['done', 1, undefined]);
});

test('edge case 39: the plan names the feature that a stream needs, and what there is no room for', async () => {
  const fleet = await useFleet(server().url);
  const tree = `${z.source}/features`;
  z.ok('create', tree);
  z.ok('create', `${tree}/plain`);
  z.ok('create', '-o', 'dnodesize=auto', `${tree}/dnode`);
  z.ok('create', '-o', 'compression=zstd', `${tree}/zstd`);
  for (const name of ['plain', 'dnode', 'zstd']) {
    z.write(`${tree}/${name}`, 20_000);
    // what compresses is what shows how
    writeFileSync(join(z.value('mountpoint', `${tree}/${name}`), 'text'), 'compress me '.repeat(50_000));
  }
  if (knows('longname')) {
    z.ok('create', '-o', 'longname=on', `${tree}/long`);
    writeFileSync(join(z.value('mountpoint', `${tree}/long`), 'n'.repeat(400)), 'x');
  }
  z.zpool('sync', z.source);
  z.ok('snapshot', '-r', `${tree}@1`);
  const asked = { dataset: tree, to: { host: 'smos-00', dataset: `${plain}/f` }, package: 'replication' };
  const refusedOf = async (more: object) => {
    const plan = await planOf(fleet, { ...asked, ...more });
    if (!plan.ok) throw new Error(plan.error.message);
    expect(plan.notes?.filter(({ kind }) => kind === 'features') ?? []).toEqual([]);
    return (plan.refused ?? []).map(({ dataset, error }) => [dataset.slice(tree.length + 1), error.details?.features]);
  };
  const always = [['dnode', ['large_dnode']], ...(knows('longname') ? [['long', ['longname']]] : [])];
  expect(await refusedOf({})).toEqual(always);
  expect(await refusedOf({ stream: { compressed: true } })).toEqual([...always, ['zstd', ['zstd_compress']]]);
  // and so it is
  const job = await fleet.send('smos-01', { ...asked, stream: { compressed: true } });
  const failed = job.datasets.list.flatMap(({ dataset, error }) => (error ? [[dataset, error.code]] : []));
  expect(failed.toSorted()).toEqual(
    [...always.map(([name]) => name), 'zstd'].map((name) => [`${tree}/${name}`, 'UNSUPPORTED']).toSorted(),
  );
  expect(job.datasets.done).toBe(2);

  // clones of blocks where this release has them, which are copies in a stream (openzfs#16961)
  const room = `${z.source}/room`;
  z.ok('create', room);
  z.write(room, 8 * MIB);
  const folder = z.value('mountpoint', room);
  for (const copy of ['a', 'b']) {
    const [file = ''] = readdirSync(folder);
    spawnSync('cp', ['--reflink=auto', join(folder, file), join(folder, copy)]);
  }
  z.zpool('sync', z.source);
  z.ok('snapshot', `${room}@1`);
  z.ok('create', '-o', `quota=${16 * MIB}`, `${z.target}/quota`);
  const into = (dataset: string) => ({ dataset: room, to: { host: 'smos-00', dataset } });
  const { plan, shortages } = await replyOf(fleet, into(`${z.target}/quota/room`));
  expect(plan).toMatchObject({ ok: true, steps: [{ type: 'full' }] });
  expect(shortages).toMatchObject([{ code: 'NO_SPACE', details: { dataset: `${z.target}/quota` } }]);
  expect(Number(shortages?.[0]?.details?.needed)).toBeGreaterThan(23 * MIB);
  const short = await fleet.send('smos-01', into(`${z.target}/quota/room`));
  expect(short).toMatchObject({ state: 'failed', error: { code: 'NO_SPACE' } });
  expect((await replyOf(fleet, into(`${z.target}/room`))).shortages).toBeUndefined();
});
