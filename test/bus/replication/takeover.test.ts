import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import { expect, test } from 'vitest';
import { senderDied } from '../../../cli/output/job-progress.ts';
import { onEvents, publishEvent } from '../../../lib/bus/events/events.ts';
import { openLocks } from '../../../lib/bus/locks/locks.ts';
import { subjects } from '../../../lib/bus/subjects.ts';
import { timing } from '../../../lib/time/timing.ts';
import {
  fanStartedSchema,
  type Job,
  jobAbortedSchema,
  jobSchema,
  sendStartedSchema,
  sendStatusSchema,
} from '../../../schemas/job.ts';
import { newId } from '../../../services/host/ids.ts';
import { type Fleet, quick, useFleet } from '../../support/fleet.ts';
import { mentions } from '../../support/mentions.ts';
import { useNatsAccounts } from '../../support/nats-account.ts';
import { program } from '../../support/program.ts';
import type { ServiceProcess } from '../../support/service.ts';
import type { SimHost } from '../../support/sim-host.ts';

const natsUrl = useNatsAccounts();
const slow = { ZFS_SIM_SEND_RATE: '4M' };

interface World {
  readonly fleet: Fleet;
  readonly source: SimHost;
  readonly targets: SimHost[];
  readonly senders: ServiceProcess[];
}

/** `src` with two senders and pool/a@1, which takes seconds to send, and @2; a receiver on each target. */
async function useWorld(...names: string[]): Promise<World> {
  const fleet = await useFleet(natsUrl());
  const [source, ...targets] = await Promise.all(['src', ...names].map((name) => fleet.host(name)));
  if (!source) throw new Error('no source');
  await Promise.all([source, ...targets].map((host) => host.zpool('create', 'pool')));
  await source.zfs('create', 'pool/a');
  for (const [name, bytes] of [
    ['1', 16_000_000],
    ['2', 1000],
  ] as const) {
    await source.zfs('set', `zfs-sim:write=${bytes}`, 'pool/a');
    await source.zfs('snapshot', `pool/a@${name}`);
  }
  await Promise.all(targets.map((host) => fleet.start('receiver', host, { ZPSEND_ALLOW: '*=pool' })));
  const senders = await Promise.all([fleet.start('sender', source, slow), fleet.start('sender', source, slow)]);
  return { fleet, source, targets, senders };
}

/** The sender that runs something, once it is in the middle of it. */
const running = ({ senders }: World): Promise<ServiceProcess> =>
  Promise.race(senders.map((one) => one.logged('step.ready').then(() => one)));

const list = (host: SimHost) => host.zfs('list', '-Hp', '-t', 'snapshot', '-o', 'name,guid', 'pool/a');

/** How a job ends, by the id of the request. No sender knows it between a death and its successor. */
async function ended({ fleet }: World, id: string): Promise<Job> {
  let job: Job | undefined;
  await expect
    .poll(
      async () => {
        job = await fleet.status('src', id).catch(() => undefined);
        return job?.state;
      },
      { timeout: 60_000 },
    )
    .toBe('done');
  return jobSchema.parse(job);
}

async function allArrived({ fleet, source, targets }: World): Promise<void> {
  for (const target of targets) expect(await list(target)).toBe(await list(source));
  expect(await source.zfs('holds', '-H', 'pool/a@1', 'pool/a@2')).toBe('');
  const locks = await openLocks(fleet.bus, 4);
  await expect.poll(() => locks.list(), { timeout: 30_000 }).toEqual([]);
}

test('I9: the other sender of a host continues the job of one that was killed', async () => {
  const world = await useWorld('dst');
  const id = await world.fleet.begin('src', { dataset: 'pool/a', to: { host: 'dst' } });
  await (await running(world)).end('SIGKILL');
  const job = await ended(world, id);
  expect(job.takesOver).toBe(id);
  expect(job.job).not.toBe(id);
  await allArrived(world);
});

test('what a killed sender sent to several targets at once is read once again', async () => {
  const world = await useWorld('dst', 'site-b');
  const body = { dataset: 'pool/a', to: [{ host: 'dst' }, { host: 'site-b' }] };
  const { jobs } = await world.fleet.ask(subjects.send('src', 'start'), body, fanStartedSchema);
  await (await running(world)).end('SIGKILL');
  for (const id of jobs) expect((await ended(world, id)).takesOver).toBe(id);
  await allArrived(world);
});

test('zpsend send whose sender is killed follows the successor to its end', async () => {
  const world = await useWorld('dst');
  const command = execa(process.execPath, [program, 'send', 'src:pool/a', 'dst'], {
    env: { ...world.source.env, ...quick, NATS_URL: natsUrl() },
    extendEnv: false,
    reject: false,
  });
  await (await running(world)).end('SIGKILL');
  const { exitCode, stderr, stdout } = await command;
  expect([exitCode, stdout]).toEqual([0, mentions('done')]);
  expect(stderr).toContain(senderDied);
  await allArrived(world);
});

test('a sender that was only stopped for a while ends its job when it sees the successor', async () => {
  const world = await useWorld('dst');
  const id = await world.fleet.begin('src', { dataset: 'pool/a', to: { host: 'dst' } });
  const isolated = await running(world);
  process.kill(isolated.pid, 'SIGSTOP');
  const [successor] = world.senders.filter((one) => one !== isolated);
  await successor?.logged('job.taken-over');
  process.kill(isolated.pid, 'SIGCONT');
  await isolated.logged('job.failed', { code: 'ABORTED' });
  const job = await ended(world, id);
  expect(job.takesOver).toBe(id);
  const instance = isolated.lines('service.ready')[0]?.instance ?? '';
  const atIsolated = subjects.instance(subjects.send('src', 'status'), instance);
  const { jobs } = await world.fleet.ask(atIsolated, {}, sendStatusSchema);
  const details = { reason: 'taken-over', successor: job.job };
  expect(jobs.find((one) => one.job === id)?.error).toMatchObject({ code: 'ABORTED', details });
  await allArrived(world);
});

test('a dead job whose request this release refuses ends once, as failed, with that error', async () => {
  const fleet = await useFleet(natsUrl());
  const source = await fleet.host('src');
  const sender = await fleet.start('sender', source);
  const dead: Job = {
    ...{ job: newId(), host: 'src', instance: newId(), state: 'running', steps: 1, done: 0, bytes: 0, size: 0 },
    request: { dataset: 'pool/a@2', to: { host: 'dst' }, full: true, from: '@1' },
    datasets: { total: 1, done: 0, failed: 0, list: [] },
    ...{ started: new Date().toISOString(), seconds: 0 },
  };
  const failed: Job[] = [];
  onEvents(fleet.bus, subjects.event('src', 'job', 'failed'), jobSchema, ({ body }) => failed.push(body));
  publishEvent(fleet.bus, subjects.event('src', 'job', 'progress'), jobSchema.parse(dead));
  const refused = { takesOver: dead.job, state: 'failed', error: { code: 'BAD_REQUEST' } };
  const known = () => fleet.status('src', dead.job).catch(() => undefined);
  await expect.poll(known, { timeout: 30_000 }).toMatchObject(refused);
  await sleep(3 * timing.takeover.checkMs);
  expect(failed).toEqual([expect.objectContaining({ takesOver: dead.job, state: 'failed' })]);
  expect(sender.lines('job.takeover-invalid', { code: 'BAD_REQUEST' })).toHaveLength(1);
  expect([sender.lines('job.taken-over'), sender.lines('job.failed')]).toEqual([[], [expect.anything()]]);
});

test('an aborted job has no takeover, though its sender was killed before it had ended', async () => {
  const world = await useWorld('dst', 'site-b');
  const { fleet, senders } = world;
  const [one, other] = senders;
  const instance = one?.lines('service.ready')[0]?.instance ?? '';
  const [gone, kept] = await Promise.all(
    ['dst', 'site-b'].map((host) => {
      const body = { dataset: 'pool/a', to: { host } };
      return fleet.ask(subjects.instance(subjects.send('src', 'start'), instance), body, sendStartedSchema);
    }),
  );
  if (!gone || !kept) throw new Error('two jobs');
  await one?.logged('step.ready');
  const abort = subjects.instance(subjects.send('src', 'abort'), instance);
  await fleet.ask(abort, { job: gone.job }, jobAbortedSchema);
  await one?.end('SIGKILL');
  expect((await ended(world, kept.job)).takesOver).toBe(kept.job);
  expect(other?.lines('job.taken-over').map(({ msg }) => msg.includes(gone.job))).toEqual([false]);
});

test('a job that is aborted after its sender has died has no successor', async () => {
  const world = await useWorld('dst', 'site-b');
  const { fleet } = world;
  const gone = await fleet.begin('src', { dataset: 'pool/a', to: { host: 'dst' } });
  const dead = await running(world);
  await dead.end('SIGKILL');
  const [other] = world.senders.filter((one) => one !== dead);
  await fleet.ask(subjects.send('src', 'abort'), { job: gone }, jobAbortedSchema);
  // a takeover would have happened by then
  await sleep(timing.takeover.silenceMs + timing.takeover.spreadMs + 2000);
  expect(other?.lines('job.taken-over')).toEqual([]);
});
