import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { subjects } from '../../lib/bus/subjects.ts';
import { jobAbortedSchema } from '../../schemas/job.ts';
import { doctorOutputSchema } from '../../schemas/output.ts';
import { verifyOutputSchema } from '../../schemas/verify.ts';
import { targetHash } from '../../services/sender/bases/cursor-name.ts';
import { lab, MIB } from '../contract/zfs-under-test.ts';
import { useFleet } from '../support/fleet.ts';
import { mentions } from '../support/mentions.ts';
import { useNatsServer } from '../support/nats-server.ts';
import type { ServiceProcess } from '../support/service.ts';
import { fast, slow, startHere } from './services.ts';

const server = useNatsServer();
const z = lab(512 * MIB);
const bin = fileURLToPath(new URL('../../bin/zpsend.ts', import.meta.url));

let services: ServiceProcess[] = [];
/** A pool that is imported read-only by each test. */
let pool = '';
beforeAll(async () => {
  pool = z.pool('frozen', 256 * MIB);
  services = await Promise.all([
    startHere(z, server().url, 'receiver', 'smos-00', { ZPSEND_ALLOW: `*=${z.target},*=${pool}` }),
    startHere(z, server().url, 'sender', 'smos-01'),
  ]);
});
afterEach(fast);
afterAll(async () => {
  await Promise.all(services.map((service) => service.end()));
});

function snapshot(dataset: string, name: string, bytes = 100_000): void {
  z.write(dataset, bytes);
  z.ok('snapshot', `${dataset}@${name}`);
}
const snapshots = (root: string): string[] => z.ok('list', '-Hp', '-r', '-t', 'snapshot', '-o', 'name', root);
const moved = (job: { notes?: { kind: string; message: string }[] | undefined }) =>
  (job.notes ?? []).filter(({ kind }) => kind === 'read-only-source').map(({ message }) => message);

async function zpsend(...args: string[]) {
  const { stdout, exitCode } = await execa(process.execPath, [bin, ...args], {
    env: { ...z.env, NATS_URL: server().url, ZPSEND_HOST: 'smos-00' },
    extendEnv: false,
    reject: false,
  });
  return { exitCode, output: JSON.parse(stdout) };
}

function expectEqual(source: string, target: string): void {
  const below = (root: string) => snapshots(root).map((name) => name.slice(root.length));
  expect(below(target)).toEqual(below(source));
  for (const name of below(source)) expect([name, z.digest(target + name)]).toEqual([name, z.digest(source + name)]);
}

test('edge case 37: a tree with a clone leaves a pool that is imported read-only: whole, resumed and by increments, with one note', async () => {
  const fleet = await useFleet(server().url);
  const [source, target] = [`${pool}/tree`, `${z.target}/tree`];
  for (const name of ['', '/kid']) z.ok('create', `${source}${name}`);
  for (const name of ['', '/kid']) snapshot(`${source}${name}`, '1');
  const body = { dataset: source, to: { host: 'smos-00', dataset: target }, package: 'replication' };
  expect(await fleet.send('smos-01', body)).toMatchObject({ state: 'done', done: 2 });
  z.ok('clone', `${source}/kid@1`, `${source}/clone`);
  for (const name of ['', '/kid', '/clone']) snapshot(`${source}${name}`, '2');
  snapshot(source, '3', 8 * MIB);
  // what a killed job has left
  z.ok('hold', `zpsend:deaddead01.0.${targetHash({ host: 'smos-00', dataset: target })}`, `${source}@1`);
  z.reimport(pool, '-o', 'readonly=on');

  slow(2 * MIB);
  const first = await fleet.begin('smos-01', body);
  await expect.poll(async () => (await fleet.status('smos-01', first))?.bytes ?? 0).toBeGreaterThan(4 * MIB);
  await fleet.ask(subjects.send('smos-01', 'abort'), { job: first }, jobAbortedSchema);
  expect(await fleet.ended('smos-01', first)).toMatchObject({ state: 'failed', error: { code: 'ABORTED' } });
  expect(z.value('receive_resume_token', target)).toMatch(/^1-/);
  fast();

  const job = await fleet.send('smos-01', body);
  expect(job).toMatchObject({ state: 'done' });
  expect(moved(job)).toEqual([mentions(pool, 'smos-01')]);
  expectEqual(source, target);
  expect(z.value('origin', `${target}/clone`)).toBe(`${target}/kid@1`);
  const again = await fleet.send('smos-01', body);
  expect([again.state, again.done, moved(again)]).toEqual(['done', 0, []]);

  const verified = await zpsend('verify', '--data', '--json', '-R', `smos-01:${source}`, `smos-00:${target}`);
  expect(verifyOutputSchema.parse(verified.output).datasets.map(({ state }) => state)).toEqual(Array(3).fill('equal'));
  expect(verified.exitCode).toBe(0);

  // and writable again it is as ever
  z.reimport(pool);
  snapshot(source, '4');
  const later = await fleet.send('smos-01', body);
  expect([later.state, later.done, moved(later)]).toEqual(['done', 1, []]);
  expect(z.ok('holds', '-H', ...snapshots(source))).toEqual([]);
  expect(z.ok('list', '-H', '-d', '1', '-t', 'bookmark', '-o', 'name', source)).toEqual([
    expect.stringMatching(/#zpsend_smos-00_[0-9a-f]{8}_[0-9]+$/),
  ]);
}, 900_000);

test('edge case 38: a target in a pool that is imported read-only is refused at the plan, and doctor calls it bad', async () => {
  const fleet = await useFleet(server().url);
  const [source, target] = [`${z.source}/data`, `${pool}/copy`];
  z.ok('create', source);
  snapshot(source, '1');
  const body = { dataset: source, to: { host: 'smos-00', dataset: target } };
  expect(await fleet.send('smos-01', body)).toMatchObject({ state: 'done', done: 1 });
  snapshot(source, '2');
  z.reimport(pool, '-o', 'readonly=on');
  for (const to of [target, `${pool}/new/deep`]) {
    const planned = await zpsend('plan', '--json', `smos-01:${source}`, `smos-00:${to}`);
    expect(planned).toMatchObject({ exitCode: 1, output: { plan: { ok: false, error: { code: 'READ_ONLY' } } } });
    expect(await fleet.send('smos-01', { ...body, to: { host: 'smos-00', dataset: to } })).toMatchObject({
      state: 'failed',
      done: 0,
      error: { code: 'READ_ONLY', details: { pool } },
    });
  }
  expect(snapshots(pool).filter((name) => name.startsWith(target))).toEqual([`${target}@1`]);
  const { exitCode, output } = await zpsend('doctor', '--json');
  const { checks } = doctorOutputSchema.parse(output);
  expect(checks.filter(({ what, result }) => what === 'pools' && result === 'bad')).toMatchObject([
    { found: mentions(pool) },
  ]);
  expect(exitCode).toBe(1);
  z.reimport(pool);
  expect(await fleet.send('smos-01', body)).toMatchObject({ state: 'done', done: 1 });
}, 600_000);
