import { describe, expect, test } from 'vitest';
import type { Job } from '../../../../../schemas/job.ts';
import { alike, inherited, openObservedJobs, yieldsTo } from '../../../../../services/sender/takeover/observed-jobs.ts';

const job = (id: string, more: Partial<Job> = {}): Job => ({
  job: id,
  host: 'src',
  instance: 'other00000',
  request: { dataset: 'pool/a', to: { host: 'dst' } },
  state: 'running',
  steps: 1,
  done: 0,
  datasets: { total: 1, done: 0, failed: 0, list: [] },
  bytes: 0,
  size: 0,
  started: '2026-11-30T05:00:00.000Z',
  seconds: 0,
  ...more,
});
const ids = (jobs: readonly Job[]) => jobs.map((one) => one.job);
const open = () => openObservedJobs('self000000', 5000);
const to = (host: string, more: object = {}) => ({ request: { dataset: 'pool/a', to: { host }, ...more } });

describe('a job of another sender', () => {
  test('waits for a successor after a long silence, and not after its end', () => {
    const observed = open();
    observed.news(job('jobaaaaaaa'), false, 0);
    observed.news(job('jobaaaaaaa'), false, 1000);
    expect([4999, 5999, 6000].map((at) => ids(observed.silent(at)))).toEqual([[], [], ['jobaaaaaaa']]);
    observed.news(job('jobaaaaaaa', { state: 'done' }), true, 6001);
    expect(observed.silent(60_000)).toEqual([]);
  });

  test.each<[string, string | undefined, string | undefined, string[]]>([
    ['this machine', 'a', 'a', ['jobaaaaaaa']],
    ['another machine, which had this host name', 'a', 'b', []],
    ['a machine with an id, where this one has none', 'a', undefined, []],
    ['a machine without an id', undefined, 'b', ['jobaaaaaaa']],
  ])('of %s waits for a successor only here', (_whose, its, own, waiting) => {
    const observed = openObservedJobs('self000000', 5000, own?.repeat(32));
    observed.news(job('jobaaaaaaa', its ? { machine: its.repeat(32) } : {}), false, 0);
    expect([5000, 5001].map((at) => ids(observed.silent(at)))).toEqual([waiting, waiting]);
  });

  test('has no successor after an abort, also if its end was missed', () => {
    const observed = open();
    observed.news(job('jobaaaaaaa'), false, 0);
    observed.news(job('jobaaaaaaa', { aborting: true }), false, 1000);
    expect(observed.silent(60_000)).toEqual([]);
  });

  test('has no successor if it was abandoned during its silence, and nor has its successor', () => {
    const observed = open();
    observed.news(job('jobaaaaaaa'), false, 0);
    observed.news(job('jobbbbbbbb', { takesOver: 'jobccccccc', ...to('site-b') }), false, 0);
    expect([observed.abandon('jobaaaaaaa'), observed.abandon('jobccccccc'), observed.abandon('jobdddddddd')]).toEqual([
      true,
      true,
      false,
    ]);
    expect(observed.silent(60_000)).toEqual([]);
  });

  test('is not taken for dead by a sender that received no messages', () => {
    const observed = open();
    observed.news(job('jobaaaaaaa'), false, 0);
    observed.missedEvents(9000);
    expect([13_999, 14_000].map((at) => ids(observed.silent(at)))).toEqual([[], ['jobaaaaaaa']]);
  });

  test.each<[string, Partial<Job>]>([
    ['of a policy', { startedBy: 'policy' }],
    ['of a command that runs its own sender', { startedBy: 'command' }],
    ['of this very sender', { instance: 'self000000' }],
  ])('%s has no successor', (_what, more) => {
    const observed = open();
    observed.news(job('jobaaaaaaa', more), false, 0);
    expect(observed.silent(60_000)).toEqual([]);
  });

  test('waits while another job sends the same dataset to the same target', () => {
    const observed = open();
    observed.news(job('jobaaaaaaa'), false, 0);
    for (const [id, more] of [
      ['jobbbbbbbb', { startedBy: 'policy' }],
      ['jobccccccc', to('site-b')],
    ] as const)
      observed.news(job(id, more), false, 5000);
    expect(ids(observed.silent(6000))).toEqual([]);
    observed.news(job('jobbbbbbbb', { startedBy: 'policy' }), true, 6000);
    expect(ids(observed.silent(6000))).toEqual(['jobaaaaaaa']);
  });

  test('waits for a dead job that sent the same dataset before it', () => {
    const observed = open();
    for (const id of ['jobaaaaaaa', 'jobbbbbbbb']) observed.news(job(id), false, 0);
    expect(ids(observed.silent(6000))).toEqual(['jobaaaaaaa']);
    observed.news(job('jobaaaaaaa'), true, 6000);
    expect(ids(observed.silent(6000))).toEqual(['jobbbbbbbb']);
  });

  test('that has a successor waits for no other job, and its successor may have one', () => {
    const observed = open();
    observed.news(job('jobaaaaaaa'), false, 0);
    observed.news(job('jobbbbbbbb', { takesOver: 'jobaaaaaaa' }), false, 4000);
    expect(ids(observed.silent(8000))).toEqual([]);
    expect(ids(observed.silent(9000))).toEqual(['jobbbbbbbb']);
    observed.news(job('jobccccccc', { takesOver: 'jobaaaaaaa' }), false, 9000);
    observed.news(job('jobccccccc', { takesOver: 'jobaaaaaaa' }), true, 9500);
    expect(ids(observed.silent(60_000))).toEqual(['jobbbbbbbb']);
  });
});

test('a job yields to its successor, and of two successors the smaller id wins', () => {
  const [a, b, c] = [{ job: 'a' }, { job: 'b', takesOver: 'a' }, { job: 'c', takesOver: 'a' }];
  expect(yieldsTo(a, b)).toBe(true);
  expect([yieldsTo(b, a), yieldsTo(b, b), yieldsTo(b, c), yieldsTo(c, b)]).toEqual([false, false, false, true]);
  expect(yieldsTo({ job: 'x' }, b)).toBe(false);
});

test('jobs whose requests differ only in their targets are taken over together', () => {
  const all = [job('a', to('x')), job('b', to('y', { parallel: 3 })), job('c', to('z'))];
  expect(alike(all).map(ids)).toEqual([['a', 'c'], ['b']]);
});

test('jobs that different hosts requested are taken over separately', () => {
  const all = [job('a', to('x')), job('b', { ...to('y'), from: 'other' }), job('c', { ...to('z'), from: 'other' })];
  expect(alike(all).map(ids)).toEqual([['a'], ['b', 'c']]);
});

test('I5: a successor does no rollback, since no user approved its plan', () => {
  const request = { dataset: 'pool/a', to: { host: 'dst' } };
  expect(inherited({ ...request, conflict: 'rollback' })).toEqual(request);
  expect(inherited({ ...request, conflict: 'rotate' })).toEqual({ ...request, conflict: 'rotate' });
  expect(inherited(request)).toEqual(request);
});
