import { execa } from 'execa';
import { describe, expect, test } from 'vitest';
import { openLocks } from '../../../lib/bus/locks/locks.ts';
import { subjects } from '../../../lib/bus/subjects.ts';
import { inventoryFileSchema, inventorySchema, listingPartSchema } from '../../../schemas/inventory.ts';
import { jobSchema } from '../../../schemas/job.ts';
import {
  doctorOutputSchema,
  hostsOutputSchema,
  locksOutputSchema,
  statusOutputSchema,
} from '../../../schemas/output.ts';
import { planReplySchema } from '../../../schemas/plan.ts';
import { type Fleet, quick, useFleet } from '../../support/fleet.ts';
import { codesOf, mentions } from '../../support/mentions.ts';
import { useNatsServer } from '../../support/nats-server.ts';
import { program } from '../../support/program.ts';
import type { SimHost } from '../../support/sim-host.ts';

const server = useNatsServer();

interface World {
  fleet: Fleet;
  source: SimHost;
  target: SimHost;
  /** Runs the command line on the source. */
  zpsend(...args: string[]): ReturnType<typeof run>;
}

const run = (host: SimHost, args: string[], more: NodeJS.ProcessEnv = {}) =>
  execa(process.execPath, [program, ...args], {
    env: { ...host.env, ...quick, NATS_URL: server().url, ...more },
    extendEnv: false,
    reject: false,
  });

/** smos-01 with zones/test and the named snapshots, each `bytes` further, and a receiver on smos-00. */
async function useWorld(snapshots: string[], bytes = 100_000, receiver: NodeJS.ProcessEnv = {}): Promise<World> {
  const fleet = await useFleet(server().url);
  const [source, target] = await Promise.all([fleet.host('smos-01'), fleet.host('smos-00')]);
  await Promise.all([source, target].map((host) => host.zpool('create', 'zones')));
  await source.zfs('create', 'zones/test');
  for (const name of snapshots) {
    await source.zfs('set', `zfs-sim:write=${bytes}`, 'zones/test');
    await source.zfs('snapshot', `zones/test@${name}`);
  }
  await fleet.start('receiver', target, { ZPSEND_ALLOW: 'smos-01=zones', ...receiver });
  return { fleet, source, target, zpsend: (...args) => run(source, args) };
}

const names = async (host: SimHost, dataset = 'zones/test') =>
  (await host.zfs('list', '-Hp', '-t', 'snapshot', '-o', 'name,guid', '-s', 'createtxg', dataset))
    .split('\n')
    .map((line) => line.replace(/^[^@]*/, ''));

describe('zpsend send', () => {
  test('needs no sender service on this host, and does nothing the second time', async () => {
    const { source, target, zpsend } = await useWorld(['a', 'b', 'c']);
    const first = await zpsend('send', 'zones/test', 'smos-00');
    expect(first.stdout).toEqual(mentions('zones/test', 'smos-00', 'done', '3 steps'));
    expect(first.stderr).toEqual(mentions('3 of 3'));
    expect(first.exitCode).toBe(0);
    expect(await names(target)).toEqual(await names(source));

    const again = await zpsend('send', '--json', 'zones/test', 'smos-00');
    expect(jobSchema.parse(JSON.parse(again.stdout))).toMatchObject({ state: 'done', steps: 0, done: 0 });
    expect([again.stderr, again.exitCode]).toEqual(['', 0]);

    const hosts = await zpsend('hosts', '--json');
    const found = hostsOutputSchema.parse(JSON.parse(hosts.stdout)).hosts.map(({ host }) => host);
    expect(found).toEqual(['smos-00']);
  });

  test('asks the sender service of another host', async () => {
    const { fleet, source, target } = await useWorld(['a']);
    await fleet.start('sender', source);
    const sent = await run(target, ['send', 'smos-01:zones/test', 'smos-00:zones/copy']);
    expect([sent.exitCode, await names(target, 'zones/copy')]).toEqual([0, await names(source)]);
    const left = await run(target, ['send', '--detach', '-q', 'smos-01:zones/test', 'smos-00:zones/again']);
    expect([left.exitCode, left.stderr]).toEqual([0, '']);
    expect(await fleet.ended('smos-01', left.stdout)).toMatchObject({ state: 'done', done: 1 });
  });

  test('has the remedy if no sender answers for another host', async () => {
    const { zpsend } = await useWorld([]);
    const { stderr, exitCode } = await zpsend('send', 'smos-07:zones/test', 'smos-00');
    expect([codesOf(stderr), stderr]).toEqual([['UNREACHABLE'], mentions('smos-07')]);
    const detached = await zpsend('send', '--detach', 'zones/test', 'smos-00');
    expect([detached.exitCode, codesOf(detached.stderr), detached.stderr]).toEqual([
      1,
      ['UNREACHABLE'],
      mentions('smos-01', '--detach'),
    ]);
    expect(exitCode).toBe(1);
  });

  test('reports once that a receiver is missing and until when it retries, and continues when it runs', async () => {
    const { fleet, source, target, zpsend } = await useWorld(['a']);
    const idle = await fleet.host('smos-02');
    await Promise.all([idle.zpool('create', 'zones'), fleet.start('sender', idle)]);
    const sending = zpsend('send', 'zones/test', 'smos-02');
    const waits = Promise.withResolvers<void>();
    let text = '';
    sending.stderr?.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      if (text.includes('UNREACHABLE')) waits.resolve();
    });
    await Promise.race([waits.promise, sending]);
    await fleet.start('receiver', idle, { ZPSEND_ALLOW: 'smos-01=zones' });
    const { stderr, exitCode } = await sending;
    const lines = stderr.split('\n');
    expect(lines.slice(0, 2)).toEqual([
      expect.stringMatching(/^smos-02: UNREACHABLE: .*\d\d:\d\d:\d\d$/),
      expect.stringMatching(/^smos-02: .*\ds$/),
    ]);
    expect([lines.length, exitCode]).toEqual([3, 0]);
    expect(await names(idle)).toEqual(await names(source));
    const quiet = [
      await zpsend('send', '-q', 'zones/test', 'smos-02'),
      await zpsend('send', '-q', 'zones/test@a', 'smos-00'),
    ];
    for (const { stdout, stderr, exitCode } of quiet) expect([stdout, stderr, exitCode]).toEqual(['', '', 0]);
    expect(await names(target)).toEqual(await names(source));
  });

  test('to several targets exits with 3 if some failed, and reports each', async () => {
    const { target, zpsend } = await useWorld(['a']);
    await target.zpool('create', 'tank');
    const { stdout, stderr, exitCode } = await zpsend('send', 'zones/test', 'smos-00', 'smos-00:tank/elsewhere');
    expect(stdout.split('\n').toSorted()).toEqual([
      mentions('zones/test', 'smos-00', 'done', '1 step'),
      mentions('zones/test', 'smos-00:tank/elsewhere', 'failed'),
    ]);
    expect(codesOf(stderr)).toEqual(['NOT_ALLOWED']);
    expect(exitCode).toBe(3);
    expect(await names(target)).toHaveLength(1);
  });

  test('shows the evidence of a refusal', async () => {
    const { target, zpsend } = await useWorld(['a', 'b']);
    await zpsend('send', 'zones/test@a', 'smos-00');
    await target.zfs('snapshot', 'zones/test@mine');
    const { stderr, exitCode } = await zpsend('send', 'zones/test', 'smos-00');
    expect(stderr.split('\n')).toEqual([
      mentions('zpsend: DIVERGED', 'zones/test', 'smos-01', 'smos-00'),
      '  newest common: @a',
      '  source only:   @b',
      '  target only:   @mine',
    ]);
    expect(exitCode).toBe(1);
  });

  test('ends its job cleanly on Ctrl-C, with exit status 130', async () => {
    const { fleet, source, zpsend } = await useWorld(['a'], 40_000_000, { ZFS_SIM_RECV_RATE: '4M' });
    const sending = zpsend('send', 'zones/test', 'smos-00');
    const locks = await openLocks(fleet.bus, 4);
    await expect.poll(() => locks.list(), { timeout: 30_000 }).toHaveLength(1);
    sending.kill('SIGINT');
    const { stdout, stderr, exitCode } = await sending;
    expect([exitCode, codesOf(stderr)]).toEqual([130, ['ABORTED']]);
    expect(stdout).toEqual(mentions('zones/test', 'smos-00', 'failed'));
    expect((await source.zfs('holds', '-H', 'zones/test@a')).trim()).toBe('');
    await expect.poll(() => locks.list(), { timeout: 30_000 }).toEqual([]);
  });
});

test('zpsend plan shows the steps and changes nothing', async () => {
  const { target, zpsend } = await useWorld(['a', 'b']);
  const [people, json] = await Promise.all([
    zpsend('plan', 'zones/test', 'smos-00'),
    zpsend('plan', '--json', 'zones/test', 'smos-00', 'smos-09'),
  ]);
  expect(people.stdout).toMatch(/^full +zones\/test@a +- .*\nincr +zones\/test@b +zones\/test@a /m);
  expect(people.exitCode).toBe(0);
  const [one, other] = json.stdout.split('\n').map((line) => planReplySchema.parse(JSON.parse(line)));
  expect(one).toMatchObject({ targetHost: 'smos-00', plan: { ok: true, steps: [{}, {}] } });
  expect(other).toMatchObject({ targetHost: 'smos-09', plan: { ok: false, error: { code: 'UNREACHABLE' } } });
  expect(json.exitCode).toBe(3);
  expect(await target.zfs('list', '-Hp', '-o', 'name')).toBe('zones');
});

test('edge case 36: each command has the hint for a pool with a colon that was parsed as a host', async () => {
  const { source, zpsend } = await useWorld([]);
  await source.zpool('create', 'tank:a');
  const asked = [
    ['send', 'tank:a/x', 'smos-00'],
    ['send', 'zones/test', 'tank:a/x'],
    ['plan', 'tank:a/x', 'smos-00'],
    ['plan', 'zones/test', 'tank:a/x'],
    ['plan', 'zones/test', 'smos-00', 'tank:a/x'],
    ['verify', 'tank:a/x', 'smos-00'],
    ['verify', 'smos-00:zones', 'tank:a/x'],
    ['snapshots', 'tank:a/x'],
    ['status', '--forget', 'tank:a/x', 'smos-00'],
  ];
  await source.zfs('snapshot', 'zones/test@a');
  for (const args of asked) {
    const { stderr, exitCode } = await zpsend(...args);
    expect(stderr, args.join(' ')).toEqual(mentions('tank:a', '":tank:a/x"'));
    expect(exitCode).not.toBe(0);
  }
  const { stderr } = await zpsend('snapshots', 'nohost:a/x');
  expect(codesOf(stderr)).toEqual(['UNREACHABLE']);
  expect(stderr).not.toContain('":nohost:a/x"');
});

test('zpsend plan uses saved listings of both sides without NATS', async () => {
  const { fleet, source, target, zpsend } = await useWorld(['a', 'b']);
  const alone = await zpsend('snapshots', 'zones/test');
  expect([alone.exitCode, alone.stdout]).toEqual([0, expect.stringMatching(/\nzones\/test@a .*\nzones\/test@b /)]);
  await fleet.start('sender', source);
  const [here, there] = await Promise.all([zpsend('snapshots', '--json'), zpsend('snapshots', 'smos-00', '--json')]);
  const both = { version: 1, source: JSON.parse(here.stdout), target: JSON.parse(there.stdout) };
  expect(inventoryFileSchema.parse(both).source.datasets.map(({ name }) => name)).toContain('zones/test');
  const listed = await run(target, ['snapshots', 'smos-01:zones/test']);
  expect(listed.stdout).toMatch(
    /^NAME +CREATION +USED +REFER +GUID +CREATETXG\nzones\/test@a +20[0-9-]{8}T[0-9:]{8}Z .*\nzones\/test@b /,
  );
  const created = await source.zfs('get', '-Hp', '-o', 'value', 'creation', 'zones/test@a');
  expect(both.source.datasets[1]).toMatchObject({ name: 'zones/test', snapshots: [{ creation: Number(created) }, {}] });
  const subject = subjects.snapshots('smos-01');
  const part = await fleet.ask(subject, { dataset: 'zones/test', creation: true }, listingPartSchema);
  expect(part).toMatchObject({ part: 1, more: false, datasets: [{ snapshots: [{ creation: Number(created) }, {}] }] });
  const plain = await fleet.ask(subject, { dataset: 'zones/test' }, listingPartSchema);
  expect(plain.datasets[0]?.snapshots[0]).not.toHaveProperty('creation');
  const missing = await zpsend('snapshots', 'smos-00:zones/none');
  expect([missing.exitCode, codesOf(missing.stderr)]).toEqual([1, ['NO_SUCH_DATASET']]);
  expect(inventorySchema.parse(JSON.parse(there.stdout)).host).toBe('smos-00');
});

test('status and locks show a running job, and abort ends it', async () => {
  const { fleet, source, zpsend } = await useWorld(['a'], 40_000_000, { ZFS_SIM_RECV_RATE: '4M' });
  await fleet.start('sender', source);
  const job = await fleet.begin('smos-01', { dataset: 'zones/test', to: { host: 'smos-00' } });
  const locks = await openLocks(fleet.bus, 4);
  await expect.poll(() => locks.list(), { timeout: 30_000 }).toHaveLength(1);

  const status = statusOutputSchema.parse(JSON.parse((await zpsend('status', '--jobs', '--json')).stdout));
  expect(status.hosts).toMatchObject([
    { host: 'smos-00', transfers: [{ job, targetDataset: 'zones/test' }] },
    { host: 'smos-01', jobs: [{ job, state: 'running' }] },
  ]);
  const shown = locksOutputSchema.parse(JSON.parse((await zpsend('locks', '--json')).stdout)).locks;
  expect(shown).toMatchObject([{ host: 'smos-00', dataset: 'zones/test', source: 'smos-01' }]);

  expect(await zpsend('abort', job)).toMatchObject({ exitCode: 0, stdout: mentions(job) });
  expect(await fleet.ended('smos-01', job)).toMatchObject({ state: 'failed', error: { code: 'ABORTED' } });
  const again = await zpsend('abort', job);
  expect([again.exitCode, codesOf(again.stderr)]).toEqual([1, ['NO_SUCH_JOB']]);
  const locked = async () => JSON.parse((await zpsend('locks', '--json')).stdout);
  await expect.poll(locked, { timeout: 15_000 }).toEqual({ locks: [] });
});

test('doctor finds nothing bad on a host that can send', async () => {
  const { zpsend } = await useWorld([]);
  const { stdout, exitCode } = await zpsend('doctor', '--json');
  const { checks } = doctorOutputSchema.parse(JSON.parse(stdout));
  expect(checks.filter(({ result }) => result === 'bad')).toEqual([]);
  expect(checks.map(({ what }) => what)).toEqual(
    expect.arrayContaining(['nats', 'jetstream', 'permissions', 'hosts', 'service', 'zfs', 'pools']),
  );
  expect(exitCode).toBe(0);
});
