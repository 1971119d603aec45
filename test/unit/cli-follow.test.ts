import { describe, expect, it } from 'vitest';
import { type Followed, observe, progressLine, rateOf, resultLine } from '../../cli/follow.ts';
import type { Job } from '../../schemas/job.ts';

const step = (name: string) => ({ type: 'full' as const, to: { name, guid: '1' }, target: 'zones/test' });
const job = (more: Partial<Job> = {}): Job => ({
  job: 'abcdef123456',
  host: 'smos-01',
  instance: 'abcdef654321',
  request: { dataset: 'zones/test', to: { host: 'smos-00' } },
  state: 'running',
  steps: 7,
  done: 0,
  bytes: 0,
  size: 0,
  seconds: 0,
  ...more,
});

/** Everything that was told over a run of news, and what is known at its end. */
function tell(...news: Job[]): { lines: string[]; end: Followed } {
  const lines: string[] = [];
  let known: Followed | undefined;
  for (const one of news) {
    const { after, lines: more } = observe(known, one);
    known = after;
    lines.push(...more);
  }
  if (!known) throw new Error('no news');
  return { lines, end: known };
}

describe('news of a job', () => {
  it('is a line for each step that arrived', () => {
    const { lines } = tell(
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

  it('that comes late, or after the end, changes nothing', () => {
    const { lines, end } = tell(
      job({ seconds: 5, done: 3 }),
      job({ seconds: 4, done: 2 }),
      job({ seconds: 6, done: 7, state: 'done' }),
      job({ seconds: 7, done: 7, state: 'running' }),
    );
    expect(lines).toEqual(['smos-00: 3 steps done (3 of 7), 0B so far', 'smos-00: 4 steps done (7 of 7), 0B so far']);
    expect(end.job.state).toBe('done');
  });

  it('says once what it waits for', () => {
    const waiting = { state: 'waiting' as const, waiting: 'BUSY: smos-00 runs 4 receives already' };
    expect(tell(job(), job({ seconds: 1, ...waiting }), job({ seconds: 2, ...waiting })).lines).toEqual([
      'smos-00: BUSY: smos-00 runs 4 receives already',
    ]);
  });
});

describe('the rate', () => {
  it('is that of the last ten seconds', () => {
    const fast = Array.from({ length: 21 }, (_, at) => job({ seconds: at, bytes: at * 1000 }));
    const slow = Array.from({ length: 20 }, (_, at) => job({ seconds: 21 + at, bytes: 20_000 + (at + 1) * 10 }));
    expect(rateOf(tell(...fast).end)).toBe(1000);
    expect(rateOf(tell(...fast, ...slow).end)).toBe(10);
  });

  it('is unknown at first, and never negative when bytes are sent again', () => {
    expect(rateOf(tell(job()).end)).toBeUndefined();
    expect(rateOf(tell(job({ bytes: 5000 }), job({ seconds: 1, bytes: 0 })).end)).toBe(0);
  });
});

describe('the progress line', () => {
  const line = (...news: Job[]) => progressLine(tell(...news).end);

  it('shows step, share, bytes, rate and ETA', () => {
    const current = step('zones/test@8550');
    expect(
      line(
        job({ done: 2, current, bytes: 0, size: 10 * 2 ** 20 }),
        job({ done: 2, current, bytes: 2 ** 20, size: 10 * 2 ** 20, seconds: 2 }),
      ),
    ).toBe('smos-00: step 3/7 10% 1M 512K/s ETA 18s zones/test@8550');
  });

  it('promises nothing where the estimate is unknown or passed', () => {
    expect(line(job(), job({ seconds: 1, bytes: 1024 }))).toBe('smos-00: step 1/7 1K 1K/s ETA -');
    expect(line(job({ size: 10 }), job({ size: 10, seconds: 1, bytes: 1024 }))).toBe('smos-00: step 1/7 1K 1K/s ETA -');
  });

  it('says that it plans, what it waits for, and how it ended', () => {
    expect(line(job({ state: 'planning', steps: 0 }))).toBe('smos-00: planning');
    expect(line(job({ state: 'waiting', waiting: 'BUSY: full' }))).toContain('BUSY: full');
    expect(line(job({ state: 'done', done: 7, bytes: 1024, seconds: 3 }))).toBe(
      'zones/test to smos-00: done, 7 steps, 1K in 3.0s',
    );
  });
});

describe('the result line', () => {
  it('of nothing to do says so', () => {
    expect(resultLine(job({ state: 'done', steps: 0 }))).toBe(
      'zones/test to smos-00: nothing to do, smos-00 has all of it',
    );
  });

  it('of a failure says how far it came', () => {
    const request = { dataset: 'zones/test@b', to: { host: 'smos-00', dataset: 'tank/t' } };
    expect(resultLine(job({ request, state: 'failed', done: 3, bytes: 1024, seconds: 61 }))).toBe(
      'zones/test@b to smos-00:tank/t: failed after 3 of 7 steps, 1K in 1m01s',
    );
  });
});
