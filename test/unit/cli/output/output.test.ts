import { describe, expect, it } from 'vitest';
import { exitForAll } from '../../../../cli/exit-codes.ts';
import { errorLines, jobErrorLines } from '../../../../cli/output/errors.ts';
import { bytes, duration, moment, rate } from '../../../../cli/output/format.ts';
import { statusLines } from '../../../../cli/output/jobs.ts';
import { planLines } from '../../../../cli/output/plan.ts';
import { table } from '../../../../cli/output/table.ts';
import { harmless } from '../../../../cli/output/terminal.ts';
import type { JobDataset } from '../../../../schemas/job.ts';
import type { Plan } from '../../../../schemas/plan.ts';
import type { StreamFlag } from '../../../../schemas/stream.ts';

describe('a moment', () => {
  it.each([
    [1_796_017_174, '2026-11-30T05:39:34Z'],
    [0, '1970-01-01T00:00:00Z'],
    [Number.MAX_SAFE_INTEGER, '-'],
    [undefined, '-'],
  ])('%s is %s', (seconds, text) => expect(moment(seconds)).toBe(text));
});

describe('amounts', () => {
  it.each([
    [0, '0B'],
    [1023, '1023B'],
    [1024, '1K'],
    [23_552, '23K'],
    [1536, '1.50K'],
    [1_163_919, '1.11M'],
    [11_639_190, '11.1M'],
    [116_391_900, '111M'],
    [253_403_070_464, '236G'],
    [2 ** 40, '1T'],
    [2 ** 40 - 1, '1.00T'],
    [1023.4 * 2 ** 30, '1023G'],
    [Number.MAX_SAFE_INTEGER, '8.00P'],
  ])('%d bytes are %s', (count, text) => {
    expect(bytes(count)).toBe(text);
  });

  it.each([
    [0, '0.0s'],
    [0.44, '0.4s'],
    [9.96, '10s'],
    [59.4, '59s'],
    [59.6, '1m00s'],
    [184, '3m04s'],
    [3599.7, '1h00m'],
    [3725, '1h02m'],
    [86_400, '1d00h'],
    [183_600, '2d03h'],
  ])('%d seconds are %s', (seconds, text) => {
    expect(duration(seconds)).toBe(text);
  });

  it('of an unknown rate is a dash', () => {
    expect([rate(undefined), rate(0), rate(1_163_919.4)]).toEqual(['-', '0B/s', '1.11M/s']);
  });
});

describe('a table', () => {
  const columns = [
    { title: 'NAME', value: (row: [string, number]) => row[0] },
    { title: 'SIZE', value: (row: [string, number]) => String(row[1]), right: true },
    { title: 'NOTE', value: (row: [string, number]) => (row[1] > 9 ? 'big' : '') },
  ];

  it('aligns words to the left and numbers to the right, without trailing spaces', () => {
    expect(
      table(columns, [
        ['zones/test', 5],
        ['a', 1234],
      ]),
    ).toEqual(['NAME        SIZE  NOTE', 'zones/test     5', 'a           1234  big']);
  });

  it('without rows is nothing', () => {
    expect(table(columns, [])).toEqual([]);
  });
});

it('control characters of other hosts do not reach the terminal', () => {
  expect(harmless('a\x1b[2Jb\rc\x07d\x9bm')).toBe('a?[2Jb?c?d?m');
  expect(harmless('two\nlines\tand ünïcode')).toBe('two\nlines\tand ünïcode');
});

describe('the lines of an error', () => {
  const error = { code: 'DIVERGED' as const, message: 'they have diverged', retryable: false };

  it('have its code, and the evidence of a refusal', () => {
    expect(errorLines(error, { newestCommon: 'b', sourceOnly: ['c', 'd'], targetOnly: [] })).toEqual([
      'zpsend: DIVERGED: they have diverged',
      '  newest common: @b',
      '  source only:   @c @d',
      '  target only:   -',
    ]);
    expect(errorLines(error)).toHaveLength(1);
  });

  it('have the newest of many names', () => {
    const sourceOnly = Array.from({ length: 100 }, (_, at) => `s${at}`);
    const [, common, line] = errorLines(error, { newestCommon: null, sourceOnly, targetOnly: [] });
    expect(common).toBe('  newest common: -');
    expect(line).toMatch(/@s80 .*@s99 \(and 80 older\)$/);
  });
});

describe('the exit status', () => {
  it.each([
    [[undefined, undefined], 0],
    [['DIVERGED', undefined], 3],
    [['DIVERGED', 'BAD_REQUEST'], 1],
    [['BAD_REQUEST', 'BAD_REQUEST'], 2],
    [['LOCKED'], 1],
    [[], 0],
    [['partly'], 3],
    [['DIVERGED', 'partly'], 3],
  ] as const)('of %j is %d', (verdicts, status) => {
    expect(exitForAll(verdicts)).toBe(status);
  });
});

describe('a plan', () => {
  const request = { dataset: 'zones/test', to: { host: 'smos-00' } };

  it('is a table of its steps, with totals', () => {
    const steps = [
      { type: 'full' as const, to: { name: 'zones/test@a', guid: '1' }, targetDataset: 'zones/test', size: 23_552 },
      {
        type: 'incremental' as const,
        to: { name: 'zones/test@b', guid: '2' },
        from: { name: 'zones/test#a', guid: '1', kind: 'bookmark' as const },
        targetDataset: 'zones/test',
      },
    ];
    expect(planLines(request, { sourceHost: 'smos-01', targetHost: 'smos-00', plan: { ok: true, steps } })).toEqual([
      'TYPE  SNAPSHOT      INCREMENTAL FROM  SIZE  TARGET',
      'full  zones/test@a  -                  23K  zones/test',
      'incr  zones/test@b  zones/test#a         -  zones/test',
      '',
      '2 steps to smos-00, about 23K',
    ]);
  });

  it('shows the flags of its streams as zfs send does', () => {
    const full = (flags?: StreamFlag[]) => ({
      type: 'full' as const,
      to: { name: 'zones/test@a', guid: '1' },
      targetDataset: 'zones/test',
      ...(flags && { flags }),
    });
    const steps = [full(), full(['raw', 'props']), full(['large-block', 'embed', 'compressed'])];
    const lines = planLines(request, { sourceHost: 'smos-01', targetHost: 'smos-00', plan: { ok: true, steps } });
    expect(lines.slice(0, 4).map((line) => line.split(/ {2,}/).at(-1))).toEqual(['FLAGS', '-', '-wp', '-Lec']);
  });

  it('without steps is a sentence', () => {
    expect(planLines(request, { sourceHost: 'smos-01', targetHost: 'smos-00', plan: { ok: true, steps: [] } })).toEqual(
      ['nothing to do: smos-00 has all of zones/test'],
    );
  });
});

describe('the plan of a package', () => {
  const request = { dataset: 'pool/b@send', to: { host: 'smos-00' }, package: 'replication' as const };
  const step = (dataset: string) => ({
    type: 'full' as const,
    to: { name: `${dataset}@send`, guid: '1' },
    targetDataset: dataset,
    size: 1024,
  });
  const error = { code: 'DIVERGED' as const, message: 'pool/b/2 has diverged', retryable: false };
  const refused = [{ dataset: 'pool/b/2', targetDataset: 'pool/b/2', error }];
  const lines = (plan: Omit<Extract<Plan, { ok: true }>, 'ok'>) =>
    planLines(request, { sourceHost: 'smos-01', targetHost: 'smos-00', plan: { ok: true, ...plan } });

  it('has its notes between table and totals, and counts its datasets', () => {
    const notes = [{ kind: 'skipped' as const, dataset: 'pool/b/3', message: 'pool/b/3 is left out' }];
    expect(lines({ steps: [step('pool/b'), step('pool/b/1')], notes, refused }).slice(3)).toEqual([
      '',
      'note: pool/b/3 is left out',
      '',
      '2 steps in 2 datasets to smos-00, about 2K',
    ]);
    expect(lines({ steps: [], notes })).toEqual([
      'note: pool/b/3 is left out',
      '',
      'nothing to do: smos-00 has all of pool/b@send',
    ]);
  });

  it('never claims that the target has all if a dataset is refused', () => {
    expect(lines({ steps: [], refused })).toEqual([
      'nothing to do: smos-00 has all of pool/b@send, but 1 dataset refused',
    ]);
  });
});

describe('the errors of a package', () => {
  const failed = (dataset: string, message: string, state: JobDataset['state'] = 'failed'): JobDataset => ({
    dataset,
    targetDataset: dataset,
    state,
    steps: 1,
    done: 0,
    bytes: 0,
    error: { code: 'STREAM_BROKEN', message, retryable: true },
  });
  const lines = (message: string, list: JobDataset[], failures = list.length) => {
    const datasets = { total: 99, done: 0, failed: failures, list };
    return jobErrorLines(
      { code: 'ABORTED', message, retryable: false },
      {
        job: 'abcdef123456',
        host: 'smos-01',
        instance: 'abcdef654321',
        request: { dataset: 'pool/b@send', to: { host: 'smos-00' }, package: 'replication' },
        state: 'failed',
        steps: 9,
        done: 0,
        datasets,
        bytes: 0,
        size: 0,
        started: '2026-11-30T05:00:00.000Z',
        seconds: 1,
      },
    );
  };

  it('are a line with the name of each dataset', () => {
    expect(lines('2 of 99 failed', [failed('pool/b', 'the stream broke'), failed('pool/c', 'pool/c broke')])).toEqual([
      'zpsend: STREAM_BROKEN: pool/b: the stream broke',
      'zpsend: STREAM_BROKEN: pool/c broke',
    ]);
  });

  it('leave out waiting datasets, and count those that are not listed', () => {
    const list = [failed('pool/b', 'pool/b broke'), failed('pool/c', 'pool/c is busy', 'waiting')];
    expect(lines('4 of 99 failed', list, 4)).toEqual([
      'zpsend: STREAM_BROKEN: pool/b broke',
      'zpsend: 3 more datasets failed',
    ]);
  });

  it('report once what ended all of them', () => {
    const list = [failed('pool/b', 'pool/b broke'), failed('pool/c', 'aborted'), failed('pool/d', 'aborted')];
    expect(lines('aborted', list)).toEqual(['zpsend: STREAM_BROKEN: pool/b broke', 'zpsend: ABORTED: aborted']);
    expect(lines('no host', [])).toEqual(['zpsend: ABORTED: no host']);
  });
});

describe('a status', () => {
  const job = {
    job: 'abcdef123456',
    host: 'smos-01',
    instance: 'abcdef654321',
    request: { dataset: 'zones/test', to: { host: 'smos-00', dataset: 'tank/t' } },
    state: 'running' as const,
    steps: 7,
    done: 2,
    datasets: { total: 1, done: 0, failed: 0, list: [] },
    current: { type: 'full' as const, to: { name: 'zones/test@now', guid: '1' }, targetDataset: 'tank/t' },
    bytes: 2048,
    size: 4096,
    started: '2026-11-30T05:00:00.000Z',
    seconds: 2,
  };
  const transfer = {
    transfer: 'abcdef1234t1',
    job: job.job,
    sourceHost: 'smos-01',
    targetDataset: 'tank/t',
    snapshot: 'zones/test@now',
    state: 'receiving',
    received: 1024,
    consumed: 1024,
    started: '2026-11-30T05:00:00.000Z',
    seconds: 0,
  };

  it('shows jobs and transfers', () => {
    const hosts = [
      { host: 'smos-00', jobs: [], transfers: [transfer] },
      { host: 'smos-01', jobs: [job], transfers: [] },
    ];
    expect(statusLines({ hosts })).toEqual([
      'HOST     JOB           STATE    DATASET     TO              DATASETS  STEPS  SENT  RATE  TIME  NOW',
      'smos-01  abcdef123456  running  zones/test  smos-00:tank/t         -    2/7    2K  1K/s  2.0s  zones/test@now',
      '',
      'HOST     TRANSFER      STATE      SNAPSHOT        FROM     INTO    RECEIVED  RATE  TIME',
      'smos-00  abcdef1234t1  receiving  zones/test@now  smos-01  tank/t        1K     -  0.0s',
    ]);
  });

  it('shows how many datasets of a package are done', () => {
    const request = { ...job.request, package: 'recursive' as const };
    const whole = { ...job, request, datasets: { total: 12, done: 3, failed: 1, list: [] } };
    expect(statusLines({ hosts: [{ host: 'smos-01', jobs: [whole], transfers: [] }] })[1]).toMatch(/ 3\/12 +2\/7 /);
  });

  it('is a sentence if there is none', () => {
    expect(statusLines({ hosts: [] })).toEqual(['no host answers']);
    expect(statusLines({ hosts: [{ host: 'smos-00', jobs: [], transfers: [] }] })).toEqual([
      'no job or transfer on smos-00',
    ]);
  });
});
