import { describe, expect, onTestFinished, test, vi } from 'vitest';
import type { DatasetPlan } from '../../../../../lib/plan/dataset-plan.ts';
import { type ErrorBody, ZpsendError } from '../../../../../schemas/errors.ts';
import type { DatasetEntry } from '../../../../../schemas/inventory.ts';
import type { Step } from '../../../../../schemas/plan.ts';
import type { StatusEntry } from '../../../../../schemas/status.ts';
import {
  type JobStatusDeps,
  openJobStatus,
  type ReplicationStatus,
} from '../../../../../services/sender/reporting/job-status.ts';
import { manualClock } from '../../../../support/manual-clock.ts';
import { contextOf } from '../../../../support/planning.ts';

const entryOf = (name: string, ...snapshots: number[]): DatasetEntry => ({
  ...{ name, type: 'filesystem', guid: name, createtxg: '1', used: 0, referenced: 0, written: 0, encryption: 'off' },
  snapshots: snapshots.map((at) => ({
    ...{ name: `s${at}`, guid: String(at), createtxg: String(at), used: 0, referenced: 10, written: 10, userrefs: 0 },
  })),
  bookmarks: [],
});
const step = { type: 'full' as const, to: { name: 'p/behind@s2', guid: '2' }, targetDataset: 't/behind' };
const diverged = new ZpsendError('DIVERGED', 'has diverged').toBody();
const whole = new ZpsendError('ORIGIN_MISSING', 'an origin is missing').toBody();

const plans: DatasetPlan[] = [
  { sourceDataset: 'p/behind', targetDataset: 't/behind', steps: [step] },
  { sourceDataset: 'p/current', targetDataset: 't/current', steps: [] },
  { sourceDataset: 'p/stuck', targetDataset: 't/stuck', steps: [], refusal: { ok: false, error: diverged } },
];
const planned = {
  plans: { datasets: plans, notes: [] },
  source: { host: 'src', datasets: plans.map(({ sourceDataset }) => entryOf(sourceDataset, 1, 2)) },
  target: { host: 'dst', datasets: [entryOf('t/behind', 1), entryOf('t/current', 1, 2), entryOf('t/stuck', 1, 9)] },
};

/**
 * A job's status, and the entries it has put so far, by key.
 * @param known the entries of the target before, by key
 * @param unread how often the status cannot be read
 */
function open(startedBy?: 'policy', known: Record<string, StatusEntry> = {}, unread = 0) {
  const entries = new Map<string, () => StatusEntry>();
  let count = 0;
  let works: Promise<void>[] = [];
  const status: JobStatusDeps['status'] = {
    put(key, entry) {
      count += 1;
      entries.set(key, entry);
    },
    pending: () => [],
    during: (work) => void works.push(work),
    stop: async () => {},
  };
  let reads = 0;
  const read = async () => {
    reads += 1;
    if (reads <= unread) throw new ZpsendError('UNREACHABLE', 'the bucket zfs-status cannot be read');
    return new Map(Object.entries(known));
  };
  const deps = { host: 'src', instance: 'abcdef654321', clock: manualClock(), status, zfs: { list: async () => [] } };
  const request = { dataset: 'p', to: { host: 'dst', dataset: 't' }, package: 'replication' as const };
  const told = () => new Map([...entries].map(([key, entry]) => [key, entry()]));
  const settled = async () => {
    await Promise.all(works);
    works = [];
    return told();
  };
  const board: ReplicationStatus = openJobStatus(
    { ...deps, ...(startedBy && { startedBy }) } as unknown as JobStatusDeps,
    'abcdef123456',
    contextOf(request),
    read,
  );
  return { board, told, settled, puts: () => count };
}
const seen = (told: Map<string, StatusEntry>) =>
  [...told].map(([key, { run, lag, error }]) => [key, run?.state, lag?.snapshots, error?.code]);

test('a dataset without steps is done with the plan, and a refused one has failed', () => {
  const { board, told } = open();
  board.listed(planned);
  expect(seen(told())).toEqual([
    ['src.to.dst.p/behind.t/behind', undefined, 1, undefined],
    ['src.to.dst.p/current.t/current', 'done', 0, undefined],
    ['src.to.dst.p/stuck.t/stuck', 'failed', 1, 'DIVERGED'],
  ]);
});

test.each<[string, ErrorBody | undefined, unknown[]]>([
  ['refused as a whole fails the datasets to send', whole, ['failed', 'done', 'failed']],
  ['that succeeds fails nothing more', undefined, [undefined, 'done', 'failed']],
])('a job %s', (_what, error, states) => {
  const { board, told } = open();
  board.listed(planned);
  board.over(error);
  expect([...told().values()].map(({ run }) => run?.state)).toEqual(states);
  const [behind, , stuck] = [...told().values()];
  expect([behind?.error?.code, stuck?.error?.code]).toEqual([error?.code, 'DIVERGED']);
});

test('a listing during a run changes the lag of a dataset, and not that it is running', () => {
  const { board, told } = open();
  board.listed(planned);
  board.began('p/behind');
  const [, ...others] = plans;
  const refused: DatasetPlan = {
    sourceDataset: 'p/behind',
    targetDataset: 't/behind',
    steps: [],
    refusal: { ok: false, error: diverged },
  };
  board.listed({
    ...{ plans: { datasets: [refused, ...others], notes: [] }, target: planned.target },
    source: { host: 'src', datasets: [entryOf('p/behind', 1, 2, 3)] },
  });
  expect(seen(told())[0]).toEqual(['src.to.dst.p/behind.t/behind', 'running', 2, undefined]);
  board.arrived('p/behind', '2');
  board.ended('p/behind', 10);
  expect(seen(told())[0]).toEqual(['src.to.dst.p/behind.t/behind', 'done', 1, undefined]);
});

test('a report without news is not put, and a dataset outside of the plan is ignored', () => {
  const { board, puts } = open();
  board.listed(planned);
  const before = puts();
  board.ended('p/current', 0);
  board.ended('p/none', 0, whole);
  board.measured([['p/current', { bytes: 1, waiting: undefined }]]);
  expect(puts()).toBe(before);
});

describe('a job to a target that has never received a stream', () => {
  const away = new ZpsendError('UNREACHABLE', 'no reply').toBody();
  const denied = new ZpsendError('NOT_ALLOWED', 'not allowed').toBody();
  const fresh = { ...planned, target: { host: 'dst', datasets: [] } };
  const before: StatusEntry = { written: '2026-01-01T00:00:00.000Z' };
  const key = 'src.to.dst.p/behind.t/behind';

  test('has no rows if it is refused before anything is sent: by its plan, by its receiver, by an absent host', async () => {
    const [unplanned, refused, aborted] = [open(), open(), open()];
    unplanned.board.over(away);
    for (const { board } of [refused, aborted]) board.listed(fresh);
    refused.board.began('p/behind');
    refused.board.measured([['p/behind', { bytes: 0, waiting: away }]]);
    refused.board.ended('p/behind', 0, denied);
    refused.board.over(denied);
    aborted.board.over(new ZpsendError('ABORTED', 'by request').toBody());
    for (const { settled } of [unplanned, refused, aborted]) expect(await settled()).toEqual(new Map());
  });

  test.each<[string, (board: ReplicationStatus) => void]>([
    ['bytes are on their delivery', (board) => board.measured([['p/behind', { bytes: 1, waiting: undefined }]])],
    ['a snapshot has arrived', (board) => board.arrived('p/behind', '2')],
    ['a snapshot lies in the store for it', (board) => board.stored('p/behind', '2')],
  ])('has rows for all its datasets, those that are refused too, once %s', async (_, happens) => {
    const { board, settled } = open();
    board.listed(fresh);
    board.began('p/behind');
    happens(board);
    board.ended('p/behind', 1, denied);
    board.over(denied);
    expect(seen(await settled()).map(([of, state]) => [of, state])).toEqual([
      [key, 'failed'],
      ['src.to.dst.p/current.t/current', 'done'],
      ['src.to.dst.p/stuck.t/stuck', 'failed'],
    ]);
  });

  test.each<[string, ReturnType<typeof open>]>([
    ['a policy that exists', open('policy')],
    ['a dataset that was sent before and is gone', open(undefined, { [key]: before })],
  ])('shows that it failed for %s', async (_, { board, settled }) => {
    board.listed(fresh);
    board.over(denied);
    expect((await settled()).get(key)).toMatchObject({ run: { state: 'failed' }, error: { code: 'NOT_ALLOWED' } });
  });

  test('that cannot be planned fails the existing rows, and for a policy its own row', async () => {
    const [known, policy] = [open(undefined, { [key]: before }), open('policy')];
    for (const { board } of [known, policy]) board.over(away);
    expect([...(await known.settled()).keys()]).toEqual([key]);
    expect([...(await policy.settled()).keys()]).toEqual(['src.to.dst.p.t']);
  });
});

describe('while the status cannot be read', () => {
  const away = new ZpsendError('UNREACHABLE', 'no reply').toBody();
  const root = 'src.to.dst.p.t';
  const key = 'src.to.dst.p/behind.t/behind';

  test('a job that cannot be planned fails without a lag', async () => {
    const { board, settled } = open(undefined, {}, 1);
    board.over(away);
    expect(seen(await settled())).toEqual([[root, 'failed', undefined, 'UNREACHABLE']]);
  });

  test('a dataset that fails is shown, and an unsent one is not', async () => {
    const { board, settled } = open(undefined, {}, 2);
    board.listed({ ...planned, target: { host: 'dst', datasets: [] } });
    await settled();
    board.over();
    expect(seen(await settled()).map(([of, state]) => [of, state])).toEqual([['src.to.dst.p/stuck.t/stuck', 'failed']]);
  });

  test('the status is read again', async () => {
    const { board, settled } = open(undefined, { [key]: { written: '2026-01-01T00:00:00.000Z' } }, 1);
    const [behind] = plans;
    board.listed({
      ...{ plans: { datasets: behind ? [behind] : [], notes: [] }, source: planned.source },
      target: { host: 'dst', datasets: [] },
    });
    expect(await settled()).toEqual(new Map());
    board.over();
    expect(seen(await settled())).toEqual([[key, undefined, 2, undefined]]);
  });
});

test('the initial flags of the chain on the target are noted: from the target, or from the first step of a seed', () => {
  const { board, told } = open('policy');
  const source = {
    host: 'src',
    datasets: [entryOf('p/behind', 1, 2), entryOf('p/current', 1, 2), entryOf('p/stuck', 1)],
  };
  const marked = (name: string, stream: string) => ({ ...entryOf(name, 1), stream });
  const datasets = plans.map((plan) =>
    plan.sourceDataset === 'p/behind' ? { ...plan, steps: [{ ...step, record: 'p/behind:large-block' }] } : plan,
  );
  board.listed({
    ...{ plans: { datasets, notes: [] }, source },
    // the one is of the dataset itself, the other inherited
    target: { host: 'dst', datasets: [marked('t/current', 'p/current:compressed'), marked('t/stuck', 'p:compressed')] },
  });
  expect([...told().values()].map(({ stream }) => stream)).toEqual([
    'p/behind:large-block',
    'p/current:compressed',
    undefined,
  ]);
});

describe('the key wrapping of an encrypted replica is noted', () => {
  const wrapped = (salt: string) => ({ format: 'passphrase' as const, salt });
  const key = 'src.to.dst.p/behind.t/behind';
  const from = { kind: 'snapshot' as const, name: 'p/behind@s1', guid: '1' };
  const increment = { ...step, type: 'incremental' as const, from };
  const replica = { ...entryOf('t/behind', 1), wrapping: wrapped('1') };
  /** The noted wrappings before and after each arrival. */
  function noted(first: Step, there: readonly DatasetEntry[], snapshots = [1, 2]) {
    const { board, told } = open('policy');
    board.listed({
      plans: { datasets: [{ sourceDataset: 'p/behind', targetDataset: 't/behind', steps: [first] }], notes: [] },
      source: { host: 'src', datasets: [entryOf('p/behind', ...snapshots)] },
      target: { host: 'dst', datasets: [...there] },
    });
    const read = () => told().get(key)?.wrapping?.salt;
    return [
      read(),
      ...snapshots.slice(1).map((at) => {
        board.arrived('p/behind', String(at));
        return read();
      }),
    ];
  }

  test.each<[string, Step, DatasetEntry[], (string | undefined)[]]>([
    [
      'as the target has it, until a step brings another',
      { ...increment, wrapping: wrapped('2') },
      [replica],
      ['1', '2', '2'],
    ],
    ['as the seed brings it', { ...step, wrapping: wrapped('1') }, [], [undefined, '1', '1']],
    ['not for a decrypted dataset', step, [], [undefined, undefined, undefined]],
    ['as the target has it, if a decrypted step keeps it', increment, [replica], ['1', '1', '1']],
    [
      'of a clone that replaces another dataset',
      { ...increment, origin: 't/o@s' },
      [replica],
      ['1', undefined, undefined],
    ],
    ['of a seed that replaces another dataset', { ...step, wrapping: wrapped('3') }, [replica], ['1', '3', '3']],
  ])('%s', (_, first, there, salts) => {
    expect(noted(first, there, [1, 2, 3])).toEqual(salts);
  });
});

test('a report after the end of a job changes none of its rows', async () => {
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() });
  onTestFinished(() => void vi.useRealTimers());
  const { board, settled } = open('policy');
  const aborted = new ZpsendError('ABORTED', 'by request').toBody();
  board.listed(planned);
  board.over(aborted);
  const before = await settled();
  board.listed(planned);
  board.began('p/behind');
  board.arrived('p/behind', '2');
  board.over(diverged);
  expect(await settled()).toEqual(before);
  expect(seen(before)[0]).toEqual(['src.to.dst.p/behind.t/behind', 'failed', 1, 'ABORTED']);
});
