import { afterAll, beforeAll, expect, test } from 'vitest';
import { subjects } from '../../lib/bus/subjects.ts';
import { planReplySchema } from '../../schemas/plan.ts';
import { lab, MIB } from '../contract/zfs-under-test.ts';
import { type Fleet, useFleet } from '../support/fleet.ts';
import { useNatsServer } from '../support/nats-server.ts';
import type { ServiceProcess } from '../support/service.ts';
import { configured, startHere } from './services.ts';

const server = useNatsServer();
const z = lab(256 * MIB);

let services: ServiceProcess[] = [];
beforeAll(async () => {
  services = await Promise.all([
    startHere(
      z,
      server().url,
      'receiver',
      'smos-00',
      configured('receive: { allow: [{ from: "*", into: POOL }] }'.replace('POOL', z.target)),
    ),
    startHere(z, server().url, 'sender', 'smos-01'),
  ]);
});
afterAll(async () => {
  await Promise.all(services.map((service) => service.end()));
});

const there = (): string[] =>
  z
    .ok('list', '-Hp', '-r', '-t', 'filesystem,volume,snapshot', '-o', 'name', z.target)
    .map((name) => name.replace(z.target, 'pool'));

const planOf = async (fleet: Fleet, body: object) =>
  (await fleet.ask(subjects.send('smos-01', 'plan'), body, planReplySchema)).plan;

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
  for (const request of refused) {
    expect(await planOf(fleet, request)).toMatchObject({ ok: false, error: { code: 'EXISTS' } });
    const job = await fleet.send('smos-01', request);
    expect(job).toMatchObject({ state: 'failed', done: 0, steps: 0, error: { code: 'EXISTS' } });
    expect(job.error?.message).toMatch(/Ways out: .*-e \(/);
  }
  expect(there()).toEqual(before);

  // the way out that is named
  const below = tree(`${z.source}/vm`, to(z.target, { append: 'path' }));
  expect(await fleet.send('smos-01', below)).toMatchObject({ state: 'done', done: 3 });
  expect(there()).toContain('pool/vm/a/x@s1');

  // a part was sent first, so its parent is a placeholder: what is new goes below that, and the root is told of
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
  const name = (elements: number): string => [z.target, ...Array.from({ length: elements - 1 }, () => 'd')].join('/');
  const ask = (elements: number) => ({ dataset: `${z.source}/deep`, to: { host: 'smos-00', dataset: name(elements) } });
  const before = there();
  const error = { code: 'BAD_REQUEST', details: { elements: 51, most: 50 } };
  expect(await planOf(fleet, ask(52))).toMatchObject({ ok: false, error });
  expect(await fleet.send('smos-01', ask(52))).toMatchObject({ state: 'failed', steps: 0, error });
  expect(there()).toEqual(before);
  // 49 parents are there, so that the test need not wait for a receiver to make each
  z.ok('create', '-p', '-o', 'canmount=off', name(50));
  expect(await fleet.send('smos-01', ask(51))).toMatchObject({ state: 'done', done: 1 });
});
