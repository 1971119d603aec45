import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, expect, onTestFinished, test } from 'vitest';
import { openLocks } from '../../lib/bus/locks/locks.ts';
import { lab, MIB } from '../contract/zfs-under-test.ts';
import { type Fleet, useFleet } from '../support/fleet.ts';
import { useNatsServer } from '../support/nats-server.ts';
import type { ServiceProcess } from '../support/service.ts';
import { fast, ordinaryUser, slow, startHere } from './services.ts';

const server = useNatsServer();
const z = lab(512 * MIB);
const source = `${z.source}/data`;
const place = `${z.target}/backup`;

const start = (service: 'sender' | 'receiver', host: string) =>
  startHere(z, server().url, service, host, {}, ordinaryUser);
let receiver: ServiceProcess;
let sender: ServiceProcess;
beforeAll(async () => {
  for (const dataset of [source, place]) z.ok('create', dataset);
  [receiver, sender] = await Promise.all([start('receiver', 'smos-00'), start('sender', 'smos-01')]);
});
afterAll(async () => {
  await Promise.all([receiver.end(), sender.end()]);
});
beforeEach(fast);

/** The commands of docs/guides/run-without-root.md, for this user and these datasets, as arguments of `zfs`. */
const documented = (): string[][] =>
  [
    ...readFileSync(new URL('../../docs/guides/run-without-root.md', import.meta.url), 'utf8').matchAll(
      /# zfs (allow .*)$/gm,
    ),
  ].map(([, line = '']) =>
    line.replace('zpsend', ordinaryUser.name).replace('zones/vm', source).replace('zones/backup', place).split(' '),
  );
const given = (dataset: string): string[] =>
  z
    .ok('allow', dataset)
    .flatMap((line) => line.match(/user \S+ (\S+)$/)?.[1]?.split(',') ?? [])
    .sort();
const takeAll = (): void => {
  for (const dataset of [source, place]) z.zfs('unallow', '-u', ordinaryUser.name, dataset);
};
const allow = (): void => {
  for (const argv of documented()) z.ok(...argv);
};

let places = 0;
/** A tree for each test, and where it goes: below a parent that is missing. */
function useTree() {
  const leaf = `t${places++}`;
  const [root, into] = [`${source}/${leaf}`, `${place}/made/${leaf}`];
  z.ok('create', root);
  z.ok('create', '-V', '1M', `${root}/vol`);
  onTestFinished(() => {
    for (const dataset of [root, `${place}/made`]) z.zfs('destroy', '-r', dataset);
  });
  const body = { dataset: root, to: { host: 'smos-00', dataset: into }, package: 'replication' };
  return { root, into, body };
}

async function expectNoTrace(fleet: Fleet, root: string): Promise<void> {
  const snapshots = z.ok('list', '-Hp', '-r', '-t', 'snapshot', '-o', 'name', root);
  const tags = z.ok('holds', '-H', ...snapshots);
  expect(tags).toEqual([]);
  const locks = await openLocks(fleet.bus, 15);
  await expect.poll(() => locks.list(), { timeout: 60_000 }).toEqual([]);
}

test('edge case 23: an error names the command that gives what is lacking; these commands are enough, and are those of the documentation', async () => {
  takeAll();
  const fleet = await useFleet(server().url);
  const { root, into, body } = useTree();
  z.ok('snapshot', '-r', `${root}@a`);
  const commands: string[] = [];
  let job = await fleet.send('smos-01', body);
  while (job.state !== 'done' && commands.length < 10) {
    expect(job.error).toMatchObject({
      code: 'NOT_ALLOWED',
      details: { allow: expect.stringMatching(/^zfs allow -u /) },
    });
    const line = String(job.error?.details?.allow);
    expect(commands).not.toContain(line);
    expect(job.error?.message).toContain(line);
    commands.push(line);
    z.ok(...line.split(' ').slice(1));
    job = await fleet.send('smos-01', body);
  }
  expect(job).toMatchObject({ state: 'done', datasets: { failed: 0 } });
  expect(z.value('guid', `${into}@a`)).toBe(z.value('guid', `${root}@a`));
  const [onSource, onTarget] = [given(root), given(into)];
  takeAll();
  z.zfs('unallow', '-u', ordinaryUser.name, root);
  allow();
  expect(given(source)).toEqual(expect.arrayContaining(onSource));
  expect(given(place)).toEqual(expect.arrayContaining(onTarget));
});

test('edge case 23: an ordinary user’s services replicate a package below a parent that is made for it; nothing is mounted, nothing reported as failed', async () => {
  allow();
  const fleet = await useFleet(server().url);
  const { root, into, body } = useTree();
  for (const leaf of ['a', 'b']) {
    z.write(root, 100_000);
    z.ok('snapshot', '-r', `${root}@${leaf}`);
  }
  expect(await fleet.send('smos-01', body)).toMatchObject({ state: 'done', done: 4, datasets: { failed: 0 } });
  z.write(root, 100_000);
  z.ok('snapshot', '-r', `${root}@c`);
  expect(await fleet.send('smos-01', body)).toMatchObject({ state: 'done', done: 2 });
  for (const leaf of ['a', 'b', 'c']) expect(z.digest(`${into}@${leaf}`), leaf).toBe(z.digest(`${root}@${leaf}`));
  for (const dataset of [`${place}/made`, into]) expect(z.value('mounted', dataset), dataset).toBe('no');
  expect(z.value('canmount', `${place}/made`)).toBe('off');
  expect(z.value('readonly', into)).toBe('on');
  await expectNoTrace(fleet, root);
});

test('edge case 23: a property that an ordinary user may not set is not set, and the receiver’s log names the lacking right', async () => {
  allow();
  z.ok('unallow', '-u', ordinaryUser.name, 'readonly', place);
  const fleet = await useFleet(server().url);
  const { root, into, body } = useTree();
  z.ok('snapshot', '-r', `${root}@a`);
  expect(await fleet.send('smos-01', body)).toMatchObject({ state: 'done', done: 2 });
  expect(z.value('readonly', into)).toBe('off');
  const { msg } = await receiver.logged('receive.property-unset');
  expect(msg).toContain(`zfs allow -u ${ordinaryUser.name} receive,create,mount,readonly,userprop `);
});

test('edge case 23: an ordinary user’s receive that is killed is continued from its token, and what cannot be continued is dropped', async () => {
  allow();
  const fleet = await useFleet(server().url);
  const { root, into, body } = useTree();
  const size = 24 * MIB;
  z.write(root, size);
  z.ok('snapshot', '-r', `${root}@a`);
  slow(6 * MIB);
  const job = await fleet.begin('smos-01', body);
  const sent = async () => (await fleet.status('smos-01', job))?.bytes ?? 0;
  await expect.poll(sent, { timeout: 120_000 }).toBeGreaterThan(12 * MIB);
  await sender.end('SIGKILL');
  await expect.poll(() => z.zfs('get', '-Hp', '-o', 'value', 'receive_resume_token', into).stdout).toMatch(/^1-/);
  fast();
  sender = await start('sender', 'smos-01');
  const again = await fleet.send('smos-01', body);
  expect(again).toMatchObject({ state: 'done', datasets: { failed: 0 } });
  expect(again.bytes).toBeLessThan(size - 4 * MIB);
  expect(z.digest(`${into}@a`)).toBe(z.digest(`${root}@a`));

  z.write(root, MIB);
  z.ok('snapshot', `${root}@b`);
  z.feed(z.stream('-i', '@a', `${root}@b`).subarray(0, 600_000), 'receive', '-s', '-u', into);
  z.ok('destroy', `${root}@b`);
  z.ok('snapshot', '-r', `${root}@c`);
  expect(await fleet.send('smos-01', body)).toMatchObject({ state: 'done', done: 2 });
  expect(z.digest(`${into}@c`)).toBe(z.digest(`${root}@c`));
  await expectNoTrace(fleet, root);
});
