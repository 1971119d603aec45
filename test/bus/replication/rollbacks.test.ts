import { expect, test } from 'vitest';
import { request } from '../../../lib/bus/rpc/request.ts';
import { subjects } from '../../../lib/bus/subjects.ts';
import type { ErrorDetails } from '../../../schemas/errors.ts';
import { jobAbortedSchema } from '../../../schemas/job.ts';
import { planPartSchema } from '../../../schemas/plan.ts';
import { receiveAbortedSchema } from '../../../schemas/transfer.ts';
import {
  allowing,
  ask,
  change,
  diverge,
  diverged,
  type Pair,
  ran,
  rollbacks,
  stream,
  there,
  usePair,
} from '../../support/diverging-pair.ts';
import { useGate } from '../../support/gate.ts';
import { mentions } from '../../support/mentions.ts';
import { useNatsAccounts } from '../../support/nats-account.ts';
import { ownNatsServer } from '../../support/nats-server.ts';
import { begin, data, expectUnlocked } from '../../support/scripted-sender.ts';
import type { SimHost } from '../../support/sim-host.ts';

const natsUrl = useNatsAccounts();

const written = (target: SimHost): Promise<string> =>
  target.zfs('get', '-Hp', '-o', 'value', 'written', 'zones/back/test');

/** No snapshot has it: a rollback would drop it. */
const write = (target: SimHost, bytes: number) => target.zfs('set', `zfs-sim:write=${bytes}`, 'zones/back/test');

/** Two diverged hosts, the sender running and no receiver yet; `receiver` starts one that allows a rollback. */
async function useDiverged() {
  const pair = await usePair(natsUrl());
  const allow = await allowing('rollback');
  const receiver = (trouble: NodeJS.ProcessEnv = {}) =>
    pair.fleet.start('receiver', pair.target, { ...allow, ...trouble });
  const first = await receiver();
  const sender = await pair.fleet.start('sender', pair.source);
  await diverge(pair);
  await first.end('SIGTERM');
  return { ...pair, receiver, sender };
}

/** A job stands at its `zfs rollback`, which drops only what was written: marked and counted, and not done yet. */
async function startRollback({ fleet, target, receiver }: Awaited<ReturnType<typeof useDiverged>>) {
  for (const name of ['x', 'y']) await target.zfs('destroy', `zones/back/test@${name}`);
  const gate = await useGate(target);
  const running = await receiver(gate.env);
  await gate.shut('rollback');
  await fleet.begin('smos-01', ask('rollback'));
  await gate.reached('rollback');
  return { gate, receiver: running };
}

/** The step that a plan begins with, which rolls back first. */
async function plannedStep({ fleet }: Pick<Pair, 'fleet'>) {
  const { plan } = await request(fleet.bus, subjects.send('smos-01', 'plan'), ask('rollback'), planPartSchema);
  const [step] = plan.ok ? plan.steps : [];
  if (!step?.from || step.before?.kind !== 'rollback') throw new Error('no rollback was planned');
  return { targetDataset: step.targetDataset, to: step.to, from: { guid: step.from.guid }, before: step.before };
}

test.each<[string, (target: SimHost) => Promise<unknown>, ErrorDetails, string[]]>([
  ['a snapshot was made', (target) => change(target, 'zones/back/test', 'new'), { new: ['@new'] }, ['test@new']],
  ['something was written', (target) => write(target, 200_000), { written: 200_000, planned: 0 }, []],
])(
  'I5, I11: nothing goes before the first frame, and nothing at all where %s since the plan',
  async (_, meanwhile, details, more) => {
    const pair = await usePair(natsUrl());
    const { fleet, target, source } = pair;
    await fleet.start('receiver', target, await allowing('rollback'));
    await fleet.start('sender', source);
    await diverge(pair);
    const scripted = await begin(fleet, await plannedStep(pair));
    await meanwhile(target);
    expect(await ran(target)).toEqual([]);
    scripted.publish(data(0, await stream(source, '-i', '@b', 'zones/test@c')));
    expect(await scripted.final).toMatchObject({
      type: 'failed',
      error: { code: 'DIVERGED', details },
    });
    expect(await there(target)).toEqual([...diverged, ...more]);
    expect(await ran(target)).toEqual([]);
    await expectUnlocked(fleet);
  },
);

test('I5: what comes to the target while the job runs was in no plan, and ends the job that began with a rollback', async () => {
  const pair = await usePair(natsUrl());
  const { fleet, target, source } = pair;
  await fleet.start('receiver', target, { ...(await allowing('rollback')), ZFS_SIM_RECV_RATE: '8M' });
  await fleet.start('sender', source);
  await diverge(pair);
  await source.zfs('set', 'zfs-sim:write=60000000', 'zones/test');
  await source.zfs('snapshot', 'zones/test@d');
  await change(source, 'zones/test', 'e');
  const job = await fleet.begin('smos-01', ask('rollback'));
  const sent = async () => (await fleet.status('smos-01', job))?.bytes ?? 0;
  // more than a window, so that the target has taken some of it
  await expect.poll(sent, { timeout: 60_000 }).toBeGreaterThan(16_000_000);
  expect(await there(target)).toContain('test@c');
  await change(target, 'zones/back/test', 'precious');
  const ended = await fleet.ended('smos-01', job);
  expect(ended).toMatchObject({
    state: 'failed',
    error: { code: 'DIVERGED', details: { dataset: 'zones/back/test' }, message: mentions('@precious') },
  });
  expect(await there(target)).toContain('test@precious');
  expect(await rollbacks(target)).toHaveLength(1);
  await expectUnlocked(fleet);
}, 120_000);

test.each(['receiver', 'nats-server'])(
  'I5: once the target took bytes its rollback is done, and what is written there after that is not rolled back too: %s restarted',
  async (what) => {
    const server = await ownNatsServer();
    const pair = await usePair(server.url);
    const { fleet, target, source } = pair;
    const env = { ...(await allowing('rollback')), ZFS_SIM_RECV_RATE: '4M' };
    const receiver = await fleet.start('receiver', target, env);
    await fleet.start('sender', source);
    await diverge(pair);
    await source.zfs('destroy', 'zones/test@c');
    await source.zfs('set', 'zfs-sim:write=60000000', 'zones/test');
    await source.zfs('snapshot', 'zones/test@d');
    const job = await fleet.begin('smos-01', ask('rollback'));
    const sent = async () => (await fleet.status('smos-01', job))?.bytes ?? 0;
    // more than a window, so that the target has taken some of it
    await expect.poll(sent, { timeout: 60_000 }).toBeGreaterThan(16_000_000);
    expect(await ran(target)).toContain('rollback zones/back/test@b');
    if (what === 'receiver') await receiver.end('SIGKILL');
    await write(target, 100_000);
    const before = await written(target);
    if (what === 'receiver') await fleet.start('receiver', target, env);
    else await server.restart();
    const ended = await fleet.ended('smos-01', job);
    expect(ended).toMatchObject({ state: 'failed', error: { code: expect.stringMatching(/^(DIVERGED|MODIFIED)$/) } });
    expect(await written(target)).toBe(before);
    expect(await rollbacks(target)).toHaveLength(1);
    await expectUnlocked(fleet);
  },
  180_000,
);

const busy = { ZFS_SIM_FAIL: 'receive:cannot receive incremental stream: dataset is busy' };
test.each<[string, NodeJS.ProcessEnv]>([
  ['whose receive fails at once', busy],
  ['that is killed right after', { ZFS_SIM_RECV_RATE: '100K' }],
])(
  'I5: after the rollback of a receiver %s, what is written to the target stays, though no byte was acknowledged',
  async (_, trouble) => {
    const { fleet, target, receiver } = await useDiverged();
    const failing = await receiver(trouble);
    const job = await fleet.begin('smos-01', ask('rollback'));
    await expect.poll(() => rollbacks(target), { timeout: 60_000 }).toHaveLength(1);
    await failing.end('SIGKILL');
    // less than the rollback has dropped
    await write(target, 150_000);
    await receiver();
    expect(await fleet.ended('smos-01', job)).toMatchObject({ state: 'failed', error: { code: 'MODIFIED' } });
    expect(await written(target)).toBe('150000');
    expect(await rollbacks(target)).toHaveLength(1);
    await expectUnlocked(fleet);
  },
  180_000,
);

test('I5: a rollback of what was only written is not done for a second job that planned it before', async () => {
  const pair = await useDiverged();
  const { fleet, target, source, receiver } = pair;
  for (const name of ['x', 'y']) await target.zfs('destroy', `zones/back/test@${name}`);
  const failing = await receiver(busy);
  const late = await plannedStep(pair);
  expect(late.before).toMatchObject({ destroys: [], written: 400_000 });
  const job = await fleet.begin('smos-01', ask('rollback'));
  await expect.poll(() => rollbacks(target), { timeout: 60_000 }).toHaveLength(1);
  await fleet.ask(subjects.send('smos-01', 'abort'), { job }, jobAbortedSchema);
  await failing.end('SIGTERM');
  await write(target, 150_000);
  await receiver();
  const scripted = await begin(fleet, late);
  scripted.publish(data(0, await stream(source, '-i', '@b', 'zones/test@c')));
  expect(await scripted.final).toMatchObject({
    type: 'failed',
    error: { code: 'DIVERGED', details: { transfer: expect.any(String) } },
  });
  expect(await written(target)).toBe('150000');
  expect(await rollbacks(target)).toHaveLength(1);
  // a new request shows what would be lost now
  expect(await plannedStep(pair)).toMatchObject({ before: { written: 150_000 } });
  expect(await fleet.send('smos-01', ask('rollback'))).toMatchObject({ state: 'done', done: 1 });
  await expectUnlocked(fleet);
}, 120_000);

test('I9: a rollback that stops half-way is shown to the next request, and then completed', async () => {
  const pair = await useDiverged();
  const { fleet, target, receiver } = pair;
  const failing = await receiver({ ZFS_SIM_FAIL: 'rollback:cannot rollback: dataset is busy' });
  // the job itself cannot distinguish earlier snapshots from later ones
  expect(await fleet.send('smos-01', ask('rollback'))).toMatchObject({ state: 'failed', error: { code: 'MODIFIED' } });
  expect(await there(target)).toEqual(['test', 'test@a', 'test@b']);
  await failing.end('SIGTERM');
  await receiver();
  expect(await plannedStep(pair)).toMatchObject({ before: { destroys: [], written: 400_000 } });
  expect(await fleet.send('smos-01', ask('rollback'))).toMatchObject({ state: 'done', done: 1 });
  expect(await there(target)).toEqual(['test', 'test@a', 'test@b', 'test@c']);
  await expectUnlocked(fleet);
}, 120_000);

test('I5: the command run again during the rollback of its predecessor does not roll back later writes', async () => {
  const pair = await useDiverged();
  const { fleet, source, target, sender } = pair;
  const { gate } = await startRollback(pair);
  await sender.end('SIGKILL');
  await fleet.start('sender', source);
  const again = await fleet.begin('smos-01', ask('rollback'));
  const stateOf = async () => (await fleet.status('smos-01', again))?.state;
  await expect.poll(stateOf, { timeout: 30_000 }).toBe('waiting');
  await gate.open('rollback');
  await expect.poll(() => written(target), { timeout: 30_000, interval: 20 }).toBe('0');
  await write(target, 150_000);
  const ended = await fleet.ended('smos-01', again);
  expect(await rollbacks(target)).toHaveLength(1);
  // in time to be seen as diverged; or so late that the stream was there first, and what was written is on top of it
  expect(['done', 'failed']).toContain(ended.state);
  expect(await written(target)).toBe('150000');
}, 120_000);

test('I5, I9: a plan made during a rollback whose receiver then died is not carried out, and the same command again is', async () => {
  const pair = await useDiverged();
  const { fleet, source, target, receiver, sender } = pair;
  const { gate, receiver: dying } = await startRollback(pair);
  const late = await plannedStep(pair);
  await Promise.all([sender.end('SIGKILL'), dying.end('SIGKILL')]);
  // the command outlives its receiver
  await gate.open('rollback');
  await expect.poll(() => rollbacks(target), { timeout: 30_000 }).toHaveLength(1);
  await write(target, 150_000);
  await receiver();
  await expectUnlocked(fleet);
  const whole = await stream(source, '-i', '@b', 'zones/test@c');
  const scripted = await begin(fleet, late);
  scripted.publish(data(0, whole));
  expect(await scripted.final).toMatchObject({
    type: 'failed',
    error: { code: 'DIVERGED', details: { reason: 'rollback-unfinished' } },
  });
  expect(await written(target)).toBe('150000');
  expect(await rollbacks(target)).toHaveLength(1);
  await fleet.start('sender', source);
  expect(await fleet.send('smos-01', ask('rollback'))).toMatchObject({ state: 'done', done: 1 });
  await expectUnlocked(fleet);
}, 120_000);

test('I9: a job that finds a rollback without an end starts again, and completes it', async () => {
  const pair = await useDiverged();
  const { fleet, source, target, receiver, sender } = pair;
  const { gate, receiver: dying } = await startRollback(pair);
  await Promise.all([sender.end('SIGKILL'), dying.end('SIGKILL')]);
  await gate.open('rollback');
  await expect.poll(() => written(target), { timeout: 30_000, interval: 20 }).toBe('0');
  await write(target, 150_000);
  await receiver();
  await fleet.start('sender', source);
  expect(await fleet.send('smos-01', ask('rollback'))).toMatchObject({ state: 'done', done: 1 });
  expect(await there(target)).toContain('test@c');
  expect(await rollbacks(target)).toHaveLength(2);
}, 120_000);

test('I5: a transfer that is aborted while its target is being marked destroys nothing', async () => {
  const pair = await useDiverged();
  const { fleet, source, target, receiver } = pair;
  const gate = await useGate(target);
  await receiver(gate.env);
  const step = await plannedStep(pair);
  const whole = await stream(source, '-i', '@b', 'zones/test@c');
  await gate.shut('set');
  const scripted = await begin(fleet, step);
  scripted.publish(data(0, whole));
  await gate.reached('set');
  const transfer = scripted.subject.split('.').at(-1);
  await fleet.ask(subjects.receive('smos-00', 'abort'), { transfer }, receiveAbortedSchema);
  await gate.open('set');
  expect(await scripted.final).toMatchObject({ type: 'failed', error: { code: 'ABORTED' } });
  expect(await ran(target)).toEqual([]);
  expect(await there(target)).toEqual(diverged);
  await expectUnlocked(fleet);
});

test('I5: a job that starts again destroys nothing that its first plan does not list', async () => {
  const pair = await useDiverged();
  const { fleet, source, target, receiver, sender } = pair;
  const { gate, receiver: dying } = await startRollback(pair);
  await Promise.all([sender.end('SIGKILL'), dying.end('SIGKILL')]);
  await gate.open('rollback');
  await expect.poll(() => rollbacks(target), { timeout: 30_000 }).toHaveLength(1);
  await write(target, 150_000);
  const second = await useGate(target);
  await receiver(second.env);
  await second.shut('set');
  await fleet.start('sender', source);
  const job = await fleet.begin('smos-01', ask('rollback'));
  await second.reached('set');
  await change(target, 'zones/back/test', 'precious');
  await second.open('set');
  expect(await fleet.ended('smos-01', job)).toMatchObject({ state: 'failed', error: { code: 'DIVERGED' } });
  expect(await there(target)).toContain('test@precious');
}, 120_000);
