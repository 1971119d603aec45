import { describe, expect, it } from 'vitest';
import {
  type Followed,
  hasFailedPartly,
  observe,
  progressLine,
  rateOf,
  resultLine,
} from '../../../../cli/output/job-progress.ts';
import type { Job, JobDataset } from '../../../../schemas/job.ts';

const step = (name: string) => ({ type: 'full' as const, to: { name, guid: '1' }, targetDataset: 'zones/test' });
const job = (more: Partial<Job> = {}): Job => ({
  job: 'abcdef123456',
  host: 'smos-01',
  instance: 'abcdef654321',
  request: { dataset: 'zones/test', to: { host: 'smos-00' } },
  state: 'running',
  steps: 7,
  done: 0,
  datasets: { total: 1, done: 0, failed: 0, list: [] },
  bytes: 0,
  size: 0,
  started: '2026-11-30T05:00:00.000Z',
  seconds: 0,
  ...more,
});

/** A package of datasets in these states. */
const packageJob = (states: Record<string, JobDataset['state']>, more: Partial<Job> = {}): Job => {
  const list = Object.entries(states).map(([dataset, state]): JobDataset => {
    const error = { code: 'DIVERGED' as const, message: `${dataset} has diverged`, retryable: false };
    const isBad = state === 'failed' || state === 'refused';
    return { dataset, targetDataset: dataset, state, steps: 2, done: 0, bytes: 0, ...(isBad && { error }) };
  });
  const count = (...those: JobDataset['state'][]) => list.filter(({ state }) => those.includes(state)).length;
  return job({
    request: { dataset: 'pool/b@send', to: { host: 'smos-00' }, package: 'replication' },
    datasets: { total: list.length, done: count('done'), failed: count('failed', 'refused'), list },
    ...more,
  });
};

/** All lines about a series of states, and the last state. */
function follow(...states: Job[]): { lines: string[]; end: Followed } {
  const lines: string[] = [];
  let known: Followed | undefined;
  for (const one of states) {
    const { after, lines: more } = observe(known, one);
    known = after;
    lines.push(...more);
  }
  if (!known) throw new Error('no states');
  return { lines, end: known };
}

describe('the lines about a job', () => {
  it('continue with its successor, and ignore the dead one and a second successor', () => {
    const successor = (more: Partial<Job>) => job({ job: 'successor1', takesOver: 'abcdef123456', ...more });
    const { lines, end } = follow(
      job({ seconds: 9, done: 2, bytes: 20_000 }),
      successor({ seconds: 1 }),
      job({ seconds: 10, state: 'failed' }),
      successor({ job: 'successor2', seconds: 3, state: 'failed' }),
      successor({ seconds: 2, done: 5, state: 'done' }),
    );
    expect(lines.slice(1)).toEqual([
      'smos-00: its sender stopped reporting; another sender takes over',
      'smos-00: 5 steps done (5 of 7), 0B so far',
    ]);
    expect(end.job).toMatchObject({ job: 'successor1', state: 'done' });
  });

  it('are one for each step that arrived', () => {
    const { lines } = follow(
      job({ state: 'planning', steps: 0 }),
      job({ seconds: 1, current: step('zones/test@now') }),
      job({ seconds: 2, done: 1, bytes: 23_552, current: step('zones/test@now2') }),
      job({ seconds: 3, done: 1, bytes: 24_000, current: step('zones/test@now2') }),
      job({ seconds: 4, done: 7, bytes: 1_163_919, state: 'done' }),
    );
    expect(lines).toEqual([
      'smos-00: zones/test@now arrived (1 of 7), 23K so far',
      'smos-00: 6 steps done (7 of 7), 1.11M so far',
    ]);
  });

  it('ignore an older state, and one after the end', () => {
    const { lines, end } = follow(
      job({ seconds: 5, done: 3 }),
      job({ seconds: 4, done: 2 }),
      job({ seconds: 6, done: 7, state: 'done' }),
      job({ seconds: 7, done: 7, state: 'running' }),
    );
    expect(lines).toEqual(['smos-00: 3 steps done (3 of 7), 0B so far', 'smos-00: 4 steps done (7 of 7), 0B so far']);
    expect(end.job.state).toBe('done');
  });

  it('are one for each twentieth of two thousand steps', () => {
    const steps = 2000;
    const states = Array.from({ length: steps + 1 }, (_, done) =>
      job({ steps, done, bytes: done, seconds: done / 10 }),
    );
    const { lines } = follow(...states);
    expect(lines).toHaveLength(20);
    expect(lines[0]).toBe('smos-00: 100 steps done (100 of 2000), 100B so far');
    expect(lines.at(-1)).toBe('smos-00: 100 steps done (2000 of 2000), 1.95K so far');
  });

  it('are one for each twentieth of a large step, and at most one a minute', () => {
    const at = (seconds: number, percent: number) => job({ steps: 1, size: 1000, bytes: 10 * percent, seconds });
    const lines = (...states: Job[]) => follow(...states).lines.length;
    expect(lines(at(0, 0), at(10, 40), at(59, 80)), 'soon over').toBe(0);
    expect(lines(at(0, 0), at(61, 1), at(120, 4)), 'slow').toBe(0);
    expect(lines(at(0, 0), at(61, 5), at(62, 50), at(121, 55)), 'long').toBe(2);
    expect(lines(at(0, 0), at(600, 1), at(700, 1), at(1200, 1)), 'hardly moving, then not at all').toBe(1);
  });

  it('have the reason and the end of a wait once, and that it is over', () => {
    const until = new Date(2126, 10, 30, 6, 1, 30).toISOString();
    const waits = (seconds: number, code: 'UNREACHABLE' | 'BUSY', more: object = {}) =>
      job({ seconds, state: 'waiting', waiting: { code, message: `try ${seconds}`, ...more } });
    const { lines } = follow(
      job(),
      ...[1, 2, 3].map((seconds) => waits(seconds, 'UNREACHABLE', { until })),
      waits(4, 'BUSY'),
      waits(5, 'UNREACHABLE', { until }),
      job({ seconds: 9 }),
      waits(10, 'BUSY'),
      job({ seconds: 11, state: 'failed' }),
    );
    expect(lines).toEqual([
      'smos-00: UNREACHABLE: try 1; retrying until 2126-11-30 06:01:30',
      'smos-00: BUSY: try 4; waiting without a limit',
      'smos-00: continues after 8.0s',
      'smos-00: BUSY: try 10; waiting without a limit',
    ]);
  });

  it('have the end of a wait even if the job is done meanwhile', () => {
    const { lines } = follow(
      job({ seconds: 1, state: 'waiting', waiting: { code: 'BUSY', message: 'try' } }),
      job({ seconds: 4, state: 'done' }),
    );
    expect(lines).toEqual(['smos-00: BUSY: try; waiting without a limit', 'smos-00: continues after 3.0s']);
  });

  it('have the end of a wait before later arrivals', () => {
    const { lines } = follow(
      job({ seconds: 1, state: 'waiting', waiting: { code: 'BUSY', message: 'try' } }),
      job({ seconds: 4, state: 'done', done: 1 }),
    );
    expect(lines).toEqual([
      'smos-00: BUSY: try; waiting without a limit',
      'smos-00: continues after 3.0s',
      expect.stringMatching(/^smos-00: 1 step done \(1 of /),
    ]);
  });
});

describe('the lines about a package', () => {
  it('count its datasets, and name the snapshot only if one dataset runs', () => {
    const current = step('pool/b@send');
    const { lines } = follow(
      packageJob({ 'pool/b': 'running', 'pool/b/1': 'pending' }, { current }),
      packageJob({ 'pool/b': 'done', 'pool/b/1': 'running' }, { seconds: 1, done: 1 }),
    );
    expect(lines).toEqual(['smos-00: pool/b@send arrived (1 of 7, 1 of 2 datasets), 0B so far']);
    const beside = follow(
      packageJob({ 'pool/b': 'running', 'pool/b/1': 'running' }, { current }),
      packageJob({ 'pool/b': 'running', 'pool/b/1': 'done' }, { seconds: 1, done: 1 }),
    );
    expect(beside.lines).toEqual(['smos-00: 1 step done (1 of 7, 1 of 2 datasets), 0B so far']);
  });

  it('have each failed dataset once, while others continue', () => {
    const { lines } = follow(
      packageJob({ 'pool/b': 'running', 'pool/c': 'refused' }),
      packageJob({ 'pool/b': 'running', 'pool/c': 'refused', 'pool/d': 'failed' }, { seconds: 1 }),
      packageJob({ 'pool/b': 'failed', 'pool/c': 'refused', 'pool/d': 'failed' }, { seconds: 2, state: 'failed' }),
    );
    expect(lines).toEqual(['smos-00: pool/c refused, DIVERGED', 'smos-00: pool/d failed, DIVERGED']);
  });

  it('have a progress line with the datasets that are done, and the current snapshot', () => {
    const states = { 'pool/a': 'done', 'pool/b': 'running', 'pool/c': 'running', 'pool/d': 'running' } as const;
    const { end } = follow(packageJob(states, { done: 2, current: step('pool/b@send') }));
    expect(progressLine(end)).toBe('smos-00: 1/4 datasets step 3/7 0B - ETA - pool/b@send and 2 more');
  });

  it('have a result with the totals of datasets and steps', () => {
    const ended = { done: 7, seconds: 3, bytes: 1024 };
    expect(resultLine(packageJob({ a: 'done', b: 'done' }, { ...ended, state: 'done' }))).toBe(
      'pool/b@send to smos-00: done, 2 datasets, 7 steps, 1K in 3.0s',
    );
    expect(resultLine(packageJob({ a: 'done', b: 'failed', c: 'refused' }, { ...ended, state: 'failed' }))).toBe(
      'pool/b@send to smos-00: 2 of 3 datasets failed, 7 of 7 steps done, 1K in 3.0s',
    );
    // refused as a whole: what is pending was never tried
    const none = { ...ended, steps: 0, done: 0, bytes: 0, state: 'failed' as const };
    expect(resultLine(packageJob({ a: 'refused', b: 'refused' }, none))).toBe(
      'pool/b@send to smos-00: failed, nothing was sent',
    );
    expect(resultLine(packageJob({ a: 'done', b: 'refused' }, none))).toBe(
      'pool/b@send to smos-00: 1 of 2 datasets failed, nothing to do for the others',
    );
    expect(resultLine(packageJob({ a: 'pending', b: 'refused' }, { ...ended, done: 0, state: 'failed' }))).toBe(
      'pool/b@send to smos-00: failed after 0 of 7 steps, 1K in 3.0s',
    );
    expect(resultLine(packageJob({ a: 'refused' }, { state: 'failed', steps: 0 }))).toBe(
      'pool/b@send to smos-00: failed, nothing was sent',
    );
  });

  it.each([
    [{ a: 'done', b: 'failed' } as const, true],
    [{ a: 'done', b: 'done' } as const, false],
    [{ a: 'failed', b: 'refused' } as const, false],
    [{ a: 'pending', b: 'refused' } as const, false],
    [{ a: 'done', b: 'failed', c: 'pending' } as const, false],
  ])('with datasets in %j: partly failed is %s', (states, partly) => {
    expect(hasFailedPartly(packageJob(states))).toBe(partly);
  });
});

describe('the rate', () => {
  it('is measured over ten seconds', () => {
    const fast = Array.from({ length: 21 }, (_, at) => job({ seconds: at, bytes: at * 1000 }));
    const slow = Array.from({ length: 20 }, (_, at) => job({ seconds: 21 + at, bytes: 20_000 + (at + 1) * 10 }));
    expect(rateOf(follow(...fast).end)).toBe(1000);
    expect(rateOf(follow(...fast, ...slow).end)).toBe(10);
  });

  it('is unknown at first, and never negative after a resend', () => {
    expect(rateOf(follow(job()).end)).toBeUndefined();
    expect(rateOf(follow(job({ bytes: 5000 }), job({ seconds: 1, bytes: 0 })).end)).toBe(0);
  });
});

describe('the progress line', () => {
  const line = (...states: Job[]) => progressLine(follow(...states).end);

  it('shows step, share, bytes, rate and ETA', () => {
    const current = step('zones/test@8550');
    expect(
      line(
        job({ done: 2, current, bytes: 0, size: 10 * 2 ** 20 }),
        job({ done: 2, current, bytes: 2 ** 20, size: 10 * 2 ** 20, seconds: 2 }),
      ),
    ).toBe('smos-00: step 3/7 10% 1M 512K/s ETA 18s zones/test@8550');
  });

  it('has no percentage if the estimate is unknown or exceeded', () => {
    expect(line(job(), job({ seconds: 1, bytes: 1024 }))).toBe('smos-00: step 1/7 1K 1K/s ETA -');
    expect(line(job({ size: 10 }), job({ size: 10, seconds: 1, bytes: 1024 }))).toBe('smos-00: step 1/7 1K 1K/s ETA -');
  });

  it('shows planning, the reason of a wait, and the result', () => {
    expect(line(job({ state: 'planning', steps: 0 }))).toBe('smos-00: planning');
    expect(line(job({ state: 'waiting', waiting: { code: 'BUSY', message: 'full' } }))).toContain('BUSY: full');
    expect(line(job({ state: 'done', done: 7, bytes: 1024, seconds: 3 }))).toBe(
      'zones/test to smos-00: done, 7 steps, 1K in 3.0s',
    );
  });
});

describe('the result line', () => {
  it('shows that there was nothing to do', () => {
    expect(resultLine(job({ state: 'done', steps: 0 }))).toBe(
      'zones/test to smos-00: nothing to do, smos-00 has all of it',
    );
  });

  it('names the target dataset', () => {
    const to = { host: 'smos-00', dataset: 'backup', append: 'last' as const };
    const request = { dataset: 'zones/vm/test', to };
    expect(resultLine(job({ request, state: 'done', steps: 0 }))).toContain('zones/vm/test to smos-00:backup/test: ');
  });

  it('shows how far a failed job came', () => {
    const request = { dataset: 'zones/test@b', to: { host: 'smos-00', dataset: 'tank/t' } };
    expect(resultLine(job({ request, state: 'failed', done: 3, bytes: 1024, seconds: 61 }))).toBe(
      'zones/test@b to smos-00:tank/t: failed after 3 of 7 steps, 1K in 1m01s',
    );
  });

  it('shows the compressed bytes of a compressed job', () => {
    const compressed = { state: 'done' as const, done: 7, bytes: 10 * 1024, compressedBytes: 2048, seconds: 3 };
    expect(resultLine(job(compressed))).toMatch(/10K in \S+, 2K compressed$/);
  });
});
