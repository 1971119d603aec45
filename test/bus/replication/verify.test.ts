import { execa } from 'execa';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { inboxPrefix } from '../../../lib/bus/permissions.ts';
import { subjects } from '../../../lib/bus/subjects.ts';
import { digestStartedSchema, digestStatusSchema } from '../../../schemas/digest.ts';
import { verifyOutputSchema } from '../../../schemas/verify.ts';
import { quick, useFleet } from '../../support/fleet.ts';
import { codesOf, mentions } from '../../support/mentions.ts';
import { useNatsAccounts } from '../../support/nats-account.ts';
import { program } from '../../support/program.ts';
import type { SimHost } from '../../support/sim-host.ts';

const natsUrl = useNatsAccounts();

const run = (host: SimHost, args: string[], env: NodeJS.ProcessEnv = {}) =>
  execa(process.execPath, [program, ...args], {
    env: { ...host.env, ...quick, NATS_URL: natsUrl(), ...env },
    extendEnv: false,
    reject: false,
  });

/** smos-01 with zones/test and the named snapshots, all of them on smos-00, where a receiver runs; no sender on smos-01. */
async function useReplica(names: string[]) {
  const fleet = await useFleet(natsUrl());
  const [source, target] = await Promise.all([fleet.host('smos-01'), fleet.host('smos-00')]);
  await Promise.all([source, target].map((host) => host.zpool('create', 'zones')));
  await source.zfs('create', 'zones/test');
  for (const name of names) {
    await source.zfs('set', 'zfs-sim:write=100000', 'zones/test');
    await source.zfs('snapshot', `zones/test@${name}`);
  }
  const receiver = await fleet.start('receiver', target, { ZPSEND_ALLOW: 'smos-01=zones' });
  const zpsend = (...args: string[]) => run(source, args);
  await zpsend('send', 'zones/test', 'smos-00');
  return { fleet, source, target, receiver, zpsend };
}

const changes = async (host: SimHost): Promise<string[]> =>
  (await host.processes()).map(({ argv }) => argv[1] ?? '').filter((verb) => !['list', 'send', 'get'].includes(verb));

describe('zpsend verify', () => {
  test('reports what is equal and what was renamed, and changes nothing', async () => {
    const { source, target, zpsend } = await useReplica(['a', 'b', 'c']);
    const before = [await changes(source), await changes(target)];
    const equal = await zpsend('verify', 'zones/test', 'smos-00');
    expect(equal.stdout.split('\n').map((line) => line.split(/ {2,}/))).toEqual([
      ['DATASET', 'TARGET', 'STATE', 'NEWEST COMMON', 'COMMON', 'TO SEND', 'OLDER MISSING', 'TARGET ONLY', 'DIFFERENT'],
      ['zones/test', 'zones/test', 'equal', '@c', '3', '0', '0', '0', '0'],
    ]);
    expect([equal.stderr, equal.exitCode]).toEqual(['', 0]);
    expect([await changes(source), await changes(target)]).toEqual(before);

    await target.zfs('rename', 'zones/test@b', 'zones/test@bb');
    const renamed = await zpsend('verify', 'zones/test', 'smos-00');
    expect(renamed.stderr).toEqual(mentions('zones/test@b', 'zones/test@bb'));
    expect(renamed.exitCode).toBe(0);
  });

  test('exits with 1 where the newest is not there yet, or another snapshot has its name', async () => {
    const { source, target, zpsend } = await useReplica(['a', 'c']);
    await source.zfs('snapshot', 'zones/test@d');
    const behind = await zpsend('verify', '-v', 'zones/test', 'smos-00');
    expect(behind.stdout).toMatch(/ behind +@c +2 +1 +0 +0 +0$/m);
    expect(behind.stdout).toMatch(/^zones\/test@d +missing /m);
    expect(behind.exitCode).toBe(1);
    expect((await zpsend('verify', 'zones/test@c', 'smos-00')).exitCode, 'the named one is there').toBe(0);

    await target.zfs('snapshot', 'zones/test@d');
    const different = await zpsend('verify', '--json', 'zones/test', 'smos-00');
    expect(verifyOutputSchema.parse(JSON.parse(different.stdout)).datasets).toMatchObject([
      { state: 'different', newestCommon: 'c' },
    ]);
    expect(different.exitCode).toBe(1);
  });

  test('reports that an equal target will refuse the next stream, which older snapshots it lacks, and that a name is wrong', async () => {
    const { source, target, zpsend } = await useReplica(['a', 'b', 'c']);
    await target.zfs('destroy', 'zones/test@a');
    await target.zfs('snapshot', 'zones/test@mine');
    const equal = await zpsend('verify', 'zones/test', 'smos-00');
    expect(equal.stdout).toMatch(/ equal +@c +2 +0 +1 +1 +0$/m);
    expect(equal.stderr).toEqual(mentions('zones/test', 'smos-00', '@c'));
    expect(equal.exitCode).toBe(0);

    const unnamed = await zpsend('verify', 'zones/test@nope', 'smos-00');
    expect(unnamed.stderr).toEqual(mentions('zones/test'));
    expect(unnamed.exitCode).toBe(1);
    await source.zfs('snapshot', 'zones/test@d');
    expect((await zpsend('verify', 'zones/test', 'smos-00')).stdout).toMatch(/ diverged /);
  });

  test('--data finds contents that differ under one guid, and names the snapshot', async () => {
    const { target, zpsend } = await useReplica(['a', 'b', 'c']);
    const all = await zpsend('verify', '--data', '--all', 'zones/test', 'smos-00');
    expect([all.stdout.split('\n')[1], all.stderr, all.exitCode]).toEqual([
      expect.stringMatching(/ equal .* 3\/3 equal$/),
      '',
      0,
    ]);

    await target.zfs('set', 'zfs-sim:damage=on', 'zones/test@b');
    expect((await zpsend('verify', 'zones/test', 'smos-00')).exitCode, 'guids do not show it').toBe(0);
    const damaged = await zpsend('verify', '--data', '--all', 'zones/test', 'smos-00');
    expect(damaged.stderr.split('\n')).toEqual([
      mentions('zones/test@b', 'zpool scrub'),
      mentions('zones/test@c', 'zpool scrub'),
    ]);
    expect([damaged.stdout.split('\n')[1], damaged.exitCode]).toEqual([
      expect.stringMatching(/ different .* 1\/3 equal$/),
      1,
    ]);
    expect((await zpsend('verify', '--data', 'zones/test@a', 'smos-00')).exitCode).toBe(0);
  });

  test('-R reports each dataset, and exits with 3 where only some are equal', async () => {
    const { source, target, zpsend } = await useReplica(['a']);
    await source.zfs('create', 'zones/test/kid');
    await source.zfs('snapshot', 'zones/test/kid@x');
    await target.zfs('create', 'zones/test/theirs');
    const tree = await zpsend('verify', '-R', '--json', 'zones/test', 'smos-00');
    expect(verifyOutputSchema.parse(JSON.parse(tree.stdout)).datasets).toMatchObject([
      { source: 'zones/test', state: 'equal' },
      { source: 'zones/test/kid', state: 'missing' },
      { target: 'zones/test/theirs', state: 'extra' },
    ]);
    expect(tree.exitCode).toBe(3);
  });

  test('-R asked by the target exits with 3 where the source does not show it all of the tree, and reports that', async () => {
    const { fleet, source, target, zpsend } = await useReplica(['a']);
    await fleet.start('sender', source);
    const asTarget = (...args: string[]) => run(target, args, { ZPSEND_INBOX_PREFIX: inboxPrefix('smos-00') });
    const before = await asTarget('verify', '-R', 'smos-01:zones/test', 'smos-00');
    expect([before.stderr, before.exitCode], 'all of it is shown').toEqual(['', 0]);
    await source.zfs('create', 'zones/test/new');
    await source.zfs('snapshot', 'zones/test/new@1');
    const table = await asTarget('verify', '-R', 'smos-01:zones/test', 'smos-00');
    expect([table.stderr, table.exitCode]).toEqual([mentions('smos-01', 'zones/test'), 3]);
    const json = await asTarget('verify', '-R', '--json', 'smos-01:zones/test', 'smos-00');
    expect(verifyOutputSchema.parse(JSON.parse(json.stdout))).toMatchObject({
      restricted: [{ side: 'source', host: 'smos-01', dataset: 'zones/test' }],
      datasets: [{ source: 'zones/test', state: 'equal' }],
    });
    expect([json.stderr, json.exitCode]).toEqual(['', 3]);
    const asAdmin = await zpsend('verify', '-R', '--json', 'zones/test', 'smos-00');
    expect(Object.keys(JSON.parse(asAdmin.stdout)), 'an asker that may list all').not.toContain('restricted');
  });

  test('never reports success where nothing was compared', async () => {
    const { target, zpsend } = await useReplica(['a']);
    const elsewhere = await zpsend('verify', 'zones/test', 'smos-00:zones/none');
    expect(elsewhere.stdout).toMatch(/ missing /);
    expect([elsewhere.stderr, elsewhere.exitCode]).toEqual([expect.stringMatching(/^zpsend: ./), 1]);
    await target.zfs('rename', 'zones/test', 'zones/gone');
    expect((await zpsend('verify', '--data', '--json', 'zones/test', 'smos-00')).exitCode).toBe(1);
    expect(codesOf((await zpsend('verify', 'zones/none', 'smos-00')).stderr)).toEqual(['NO_SUCH_DATASET']);
    expect((await zpsend('verify', '--all', 'zones/test', 'smos-00')).exitCode).toBe(2);
    expect(codesOf((await zpsend('verify', 'zones/test', 'nowhere')).stderr)).toEqual(['UNREACHABLE']);
  });

  test('reports of a raw replica without its key whether it is as it was encrypted', async () => {
    const { source, target, zpsend } = await useReplica(['a']);
    await source.zfs('create', '-o', 'encryption=on', '-o', 'keyformat=passphrase', 'zones/enc');
    await source.zfs('set', 'zfs-sim:write=100000', 'zones/enc');
    await source.zfs('snapshot', 'zones/enc@1');
    const raw = await execa('bash', ['-c', 'zfs send -w zones/enc@1'], { env: source.env, encoding: 'buffer' });
    await execa('zfs', ['receive', '-u', 'zones/enc'], { env: target.env, input: raw.stdout });
    const { stdout, exitCode } = await zpsend('verify', '--data', 'zones/enc', 'smos-00');
    expect([stdout.split('\n')[1], exitCode]).toEqual([expect.stringMatching(/ equal .* 1\/1 equal$/), 0]);
    const reads = (await target.processes()).filter(({ argv }) => argv[1] === 'send').map(({ argv }) => argv.slice(2));
    expect(reads).toEqual([['-w', 'zones/enc@1']]);
  });
});

describe('zfs.<host>.digest', () => {
  const statusOf = (host: string) => subjects.digest(host, 'status');
  const slow = { ZFS_SIM_SEND_RATE: '64K' };

  test('reads two snapshots at once and answers BUSY beyond; the status covers all instances', async () => {
    const { fleet, target, receiver } = await useReplica(['a']);
    await receiver.end();
    await fleet.start('receiver', target, slow);
    const start = (snapshot: string) =>
      fleet.ask(subjects.digest('smos-00', 'start'), { snapshot }, digestStartedSchema);
    const [one, two] = [await start('zones/test@a'), await start('zones/test@a')];
    await expect(start('zones/test@a')).rejects.toMatchObject({ code: 'BUSY' });
    const { digests } = await fleet.ask(statusOf('smos-00'), {}, digestStatusSchema);
    expect(digests.map(({ digest, state }) => [digest, state])).toEqual([
      [one.digest, 'running'],
      [two.digest, 'running'],
    ]);
    await fleet.ask(subjects.digest('smos-00', 'abort'), { digest: one.digest }, z.json());
    await expect
      .poll(async () => (await fleet.ask(statusOf('smos-00'), { digest: one.digest }, digestStatusSchema)).digests)
      .toMatchObject([{ state: 'failed', error: { code: 'ABORTED' } }]);
    expect(await start('zones/test@a'), 'there is room again').toMatchObject({ host: 'smos-00' });
  });

  test('of another instance is found and aborted through any, and each instance has its own limit', async () => {
    const { fleet, target } = await useReplica(['a']);
    await fleet.start('sender', target, slow);
    const digests = subjects.digest('smos-00', 'start');
    const started = await Promise.all(
      [1, 2].map(() => fleet.ask(digests, { snapshot: 'zones/test@a' }, digestStartedSchema)),
    );
    for (const { digest } of started) {
      for (let asked = 0; asked < 6; asked++) {
        const { digests } = await fleet.ask(statusOf('smos-00'), { digest }, digestStatusSchema);
        expect(digests).toMatchObject([{ digest }]);
      }
    }
    await expect(fleet.ask(statusOf('smos-00'), { digest: 'unknown1' }, z.json())).rejects.toMatchObject({
      code: 'NO_SUCH_JOB',
    });
  });

  test('ends with its service, whose zfs send ends too', async () => {
    const { fleet, target, receiver } = await useReplica(['a']);
    await receiver.end();
    const again = await fleet.start('receiver', target, slow);
    await fleet.ask(subjects.digest('smos-00', 'start'), { snapshot: 'zones/test@a' }, digestStartedSchema);
    expect(await again.end('SIGTERM')).toBe(0);
    expect(again.lines('digest.failed', { snapshot: 'zones/test@a', code: 'ABORTED' })).toHaveLength(1);
  });

  test('of a snapshot that is gone fails with that; anything but the name of a snapshot is refused', async () => {
    const { fleet } = await useReplica(['a']);
    const start = (body: object) => fleet.ask(subjects.digest('smos-00', 'start'), body, digestStartedSchema);
    const { digest } = await start({ snapshot: 'zones/test@none' });
    await expect
      .poll(async () => (await fleet.ask(statusOf('smos-00'), { digest }, digestStatusSchema)).digests)
      .toMatchObject([{ state: 'failed', error: { code: 'NO_SUCH_SNAPSHOT' } }]);
    for (const body of [
      { snapshot: 'zones/test' },
      { snapshot: '-R' },
      { snapshot: 'zones/test@a', flags: ['-R'] },
      {},
    ]) {
      await expect(start(body)).rejects.toMatchObject({ code: 'BAD_REQUEST' });
    }
  });
});
