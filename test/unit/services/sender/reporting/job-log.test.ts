import { pino } from 'pino';
import { expect, test } from 'vitest';
import { ZpsendError } from '../../../../../schemas/errors.ts';
import type { Step } from '../../../../../schemas/plan.ts';
import { lineForPeople, logOf } from '../../../../../services/host/log.ts';
import { jobLog } from '../../../../../services/sender/reporting/job-log.ts';
import { contextOf } from '../../../../support/planning.ts';

/** A log with the fields of a job, and its lines. */
function open() {
  const lines: string[] = [];
  const base = { hostname: 'smos-01', pid: 7 };
  const log = logOf(pino({ name: 'zpsend', base }, { write: (line) => void lines.push(line) }));
  return { lines, log: log.child({ job: 'job0000001', source: 'smos-01' }) };
}
const fields = (line: string) => {
  const { level: _, time: __, pid: ___, hostname: ____, name: _____, ...rest } = JSON.parse(line);
  return rest;
};
const wordsOf = (lines: readonly string[]) => lines.map((line) => JSON.parse(line).msg);

const seed: Step = { type: 'full', to: { name: 'zones/test@now', guid: '1' }, targetDataset: 'tank/copy' };
const next: Step = {
  type: 'incremental',
  from: { kind: 'snapshot', name: 'zones/test@now', guid: '1' },
  to: { name: 'zones/test@now2', guid: '2' },
  targetDataset: 'tank/copy',
};

test('the steps of a dataset are logged in the words of the first zpsend', () => {
  const { lines, log } = open();
  const to = { host: 'smos-00', dataset: 'tank/copy' };
  const chain = jobLog(log, contextOf({ dataset: 'zones/test', to })).chain({
    sourceDataset: 'zones/test',
    targetDataset: 'tank/copy',
  });
  for (const step of [seed, next]) {
    chain.step(step);
    chain.asking(step);
    chain.ready(0);
    chain.arrived(step);
  }
  expect(wordsOf(lines)).toEqual([
    'an initial seed needed',
    'initial snapshot: zones/test@now',
    'asking the server to start up a recv for tank/copy',
    'received a ready zfs recv message from server',
    'server said it successfully received snapshot into tank/copy',
    'an incremental send is needed',
    'from: zones/test@now to: zones/test@now2',
    'asking the server to start up a recv for tank/copy',
    'received a ready zfs recv message from server',
    'server said it successfully received incremental snapshot into tank/copy',
  ]);
});

test('every line of a step has its dataset in its fields, also in a package', () => {
  const { lines, log } = open();
  const told = jobLog(log, contextOf({ dataset: 'zones/test', to: { host: 'smos-00' }, package: 'replication' }));
  const chain = told.chain({ sourceDataset: 'zones/test', targetDataset: 'tank/copy' });
  chain.step(next);
  chain.asking(next);
  chain.ready(5);
  chain.arrived(next);
  const whose = {
    ...{ job: 'job0000001', source: 'smos-01', dataset: 'zones/test' },
    ...{ target: 'smos-00:tank/copy', snapshot: 'zones/test@now2' },
  };
  for (const line of lines)
    expect(fields(line)).toEqual({ ...whose, event: expect.stringMatching(/^step\./), msg: expect.any(String) });
  chain.waiting(new ZpsendError('LOCKED', 'by another').toBody(), undefined);
  chain.failed(new ZpsendError('LOCKED', 'by another').toBody());
  const { snapshot: _, ...ofDataset } = whose;
  for (const line of lines.slice(-2))
    expect(fields(line)).toEqual({ ...ofDataset, event: expect.any(String), code: 'LOCKED', msg: expect.any(String) });
});

test('a text line names its dataset if its message does not', () => {
  const { lines, log } = open();
  jobLog(log, contextOf({ dataset: 'zones/test', to: { host: 'smos-00' } }))
    .chain({ sourceDataset: 'zones/test', targetDataset: 'tank/copy' })
    .step(seed);
  expect(lineForPeople(lines[0] ?? '')).toMatch(
    / on smos-01: an initial seed needed \(zones\/test@now to smos-00:tank\/copy, job job0000001\)\n$/,
  );
});

test.each([
  [1, 'sent 1 snapshot of zones/test to smos-00, 2048 bytes in 1.5 s'],
  [2, 'sent 2 snapshots of zones/test to smos-00, 2048 bytes in 1.5 s'],
])('a job of %i steps ends with a summary', (done, words) => {
  const { lines, log } = open();
  const request = { dataset: 'zones/test', to: { host: 'smos-00' } };
  jobLog(log, contextOf(request)).ended({
    ...{ job: 'job0000001', host: 'smos-01', instance: 'one0000001', request, state: 'done', steps: done, done },
    ...{ datasets: { total: 1, done: 1, failed: 0, list: [] }, bytes: 2048, size: 2048 },
    ...{ started: '2026-11-30T05:00:00.000Z', seconds: 1.5 },
  });
  expect(wordsOf(lines)).toEqual([words]);
});
