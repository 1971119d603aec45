import { execa } from 'execa';
import { expect, onTestFinished, test } from 'vitest';
import { subjects } from '../../../lib/bus/subjects.ts';
import { policiesSchema } from '../../../schemas/policy.ts';
import { codesOf, mentions } from '../../support/mentions.ts';
import { useNatsServer } from '../../support/nats-server.ts';
import { program } from '../../support/program.ts';
import { useTriggered } from '../../support/triggered.ts';

const server = useNatsServer();
const options = () => ({ env: { NATS_URL: server().url, ZPSEND_HOST: 'elsewhere' }, reject: false });

test('zpsend policies shows active policies with their state, and refused ones with the reason', async () => {
  const world = await useTriggered(server().url, 'dst');
  const sender = await world.sender([{ dataset: 'pool/a', recursive: true, to: ['dst', 'absent:pool/x'] }]);
  await sender.logged('policy.retried', { code: 'UNREACHABLE' });
  const shown = await execa(process.execPath, [program, 'policies', 'src'], options());
  expect(shown.stdout.split('\n').map((line) => line.split(/ {2,}/))).toEqual([
    ['DATASET', 'TO', 'STATE', 'POLICY'],
    ['pool/a -R', 'dst:pool/a', expect.stringMatching(/resting|running|waiting/), 'send.policies.0'],
    ['pool/a -R', 'absent:pool/x', 'waiting, failed', 'send.policies.0'],
  ]);
  expect(shown.stderr).toEqual(mentions('pool/a', 'absent', 'UNREACHABLE'));
  const { stdout, exitCode } = await execa(process.execPath, [program, 'policies', 'src', '--json'], options());
  expect([policiesSchema.parse(JSON.parse(stdout)).policies.length, exitCode]).toEqual([1, 0]);
});

test('zpsend watch publishes new snapshots, and continues after the host was down', async () => {
  const world = await useTriggered(server().url, '-dst');
  const published: string[] = [];
  world.fleet.bus.nc.subscribe(subjects.snapshotCreated('src'), {
    callback: (error, message) => {
      if (!error) published.push(message.string());
    },
  });
  await world.snapshot('old', 'silent');
  const first = await world.sender([]);
  const watch = execa(process.execPath, [program, 'watch', 'src:pool', '--interval', '0.2'], options());
  onTestFinished(() => void watch.kill('SIGKILL'));
  // the first listing publishes no snapshot
  const began = Promise.withResolvers<string>();
  watch.stderr?.once('data', (chunk: Buffer) => began.resolve(chunk.toString()));
  expect(await began.promise).toEqual(mentions('src:pool', '0.2s', 2));
  await world.source.zfs('create', 'pool/b');
  await world.source.zfs('snapshot', '-r', 'pool@new');
  await expect.poll(() => published.toSorted(), { timeout: 20_000 }).toEqual(['pool/a@new', 'pool/b@new', 'pool@new']);
  await first.end('SIGKILL');
  await world.snapshot('later', 'silent');
  await world.sender([]);
  await expect.poll(() => published, { timeout: 20_000 }).toContain('pool/a@later');
  watch.kill('SIGTERM');
  const { stdout, stderr, exitCode } = await watch;
  expect(stdout.split('\n')).toContain('pool/a@later');
  expect(stdout).not.toContain('@old');
  expect(stderr.match(/UNREACHABLE|TIMEOUT/g), 'reported once').toHaveLength(1);
  expect(stderr.trim().split('\n').at(-1), 'and that the host answers again').toEqual(mentions('src'));
  expect(stderr.trim().split('\n').at(-1)).not.toMatch(/UNREACHABLE|TIMEOUT/);
  expect(exitCode).toBe(0);
  const typo = await execa(process.execPath, [program, 'watch', 'src:pool/nosuch'], options());
  expect([typo.exitCode, codesOf(typo.stderr)]).toEqual([1, ['NO_SUCH_DATASET']]);
});

test.each([
  [['watch'], "'location'"],
  [['watch', 'src', '--interval', 'soon'], "'--interval <time>' argument 'soon'"],
  [['watch', 'src', '--interval', '0'], "'--interval <time>' argument '0'"],
  [['policies', 'a.b'], "'a.b'"],
])('zpsend %j is wrong usage', async (argv, fact) => {
  const { stderr, exitCode } = await execa(process.execPath, [program, ...argv], options());
  expect([exitCode, codesOf(stderr), stderr]).toEqual([2, ['BAD_REQUEST'], mentions(fact)]);
});
