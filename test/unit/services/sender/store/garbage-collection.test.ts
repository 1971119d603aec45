import { describe, expect, test } from 'vitest';
import type { StreamsBucket } from '../../../../../lib/bus/channel/store/object-bucket.ts';
import {
  type GarbageCollectionDeps,
  openGarbageCollection,
  orphansIn,
} from '../../../../../services/sender/store/garbage-collection.ts';
import { maintainStore } from '../../../../../services/sender/store/maintenance.ts';
import type { OwnStore } from '../../../../../services/sender/store/own-store.ts';
import { manualClock } from '../../../../support/manual-clock.ts';

const [killed, living] = ['killed0001t1', 'living0001t1'];
const never = new AbortController().signal;

test('pieces without a stream and without a running job are orphans', () => {
  const names = [
    'job0000001t1/000000',
    'job0000002t1/000000',
    'job0000003t1/000000',
    'job0000003t1/manifest',
    'known/dst/pool/a',
    'of another program',
  ];
  const withChunks = [...names, 'job0000001t1/manifest', 'job0000001t1/000001', 'job0000003t1/000001'];
  const first = ['job0000001t1', ['job0000001t1/000000', 'job0000001t1/000001', 'job0000001t1/manifest']];
  expect([...orphansIn({ names, withChunks }, new Set(['job0000002']))]).toEqual([first]);
  expect([...orphansIn({ names, withChunks }, new Set())]).toEqual([first, ['job0000002t1', ['job0000002t1/000000']]]);
});

/** A store in memory, and rounds of the collection in it. */
function storeWith(deps: Pick<GarbageCollectionDeps, 'livingJobs' | 'isBrief'>, idle = 0) {
  const names = new Set([`${killed}/000000`, `${killed}/000001`, `${living}/000000`]);
  const withChunks = new Set(names);
  const warnings: string[] = [];
  const bucket = {
    names: async () => [...names],
    withChunks: async () => [...withChunks],
    idle: async () => idle,
    remove: async (name: string) => {
      names.delete(name);
      withChunks.delete(name);
    },
  } as unknown as StreamsBucket;
  const log = { warn: (event: string) => warnings.push(event) } as unknown as GarbageCollectionDeps['log'];
  const clock = manualClock();
  const collect = openGarbageCollection({ log, clock, ...deps });
  return { names, withChunks, warnings, clock, round: async () => collect(bucket, [...names], never) };
}

const left = ({ names, withChunks }: ReturnType<typeof storeWith>): string[] =>
  [...new Set([...names, ...withChunks])].sort();
const all = [`${killed}/000000`, `${killed}/000001`, `${living}/000000`];

describe('a sender service', () => {
  test('deletes orphans that are found in every round for a minute, and no pieces of a running job', async () => {
    const store = storeWith({ isBrief: false, livingJobs: async () => new Set(['living0001']) });
    await store.round();
    await store.clock.advance(59_999);
    await store.round();
    expect(left(store)).toEqual(all);
    await store.clock.advance(1);
    await store.round();
    expect(left(store)).toEqual([`${living}/000000`]);
    await store.round();
    expect(store.warnings).toEqual(['store.garbage-removed']);
  });

  test('does not take a job for dead that was seen running, or while the running jobs are unknown', async () => {
    const answers: (Set<string> | undefined)[] = [
      new Set(),
      new Set(['killed0001', 'living0001']),
      new Set(),
      undefined,
    ];
    const store = storeWith({ isBrief: false, livingJobs: async () => answers.shift() });
    for (let round = 0; round < 4; round++) {
      await store.round();
      await store.clock.advance(60_000);
    }
    expect(left(store)).toEqual(all);
  });

  test('keeps a stream that is completed meanwhile, and the manifest until its segments are deleted', async () => {
    const store = storeWith({ isBrief: false, livingJobs: async () => new Set() });
    store.withChunks.add(`${killed}/manifest`);
    await store.round();
    await store.clock.advance(60_000);
    store.names.add(`${living}/manifest`);
    await store.round();
    expect(left(store)).toEqual([`${killed}/manifest`, `${living}/000000`, `${living}/manifest`]);
    // incomplete objects are listed again after some rounds with changes
    for (let round = 0; round < 6; round++) {
      await store.round();
      await store.clock.advance(20_000);
    }
    expect(left(store)).toEqual([`${living}/000000`, `${living}/manifest`]);
  });

  test('does not log pieces that other processes deleted', async () => {
    const store = storeWith({ isBrief: false, livingJobs: async () => new Set() });
    await store.round();
    await store.clock.advance(60_000);
    for (const set of [store.names, store.withChunks]) set.clear();
    await store.round();
    expect(store.warnings).toEqual([]);
  });
});

describe('the sender of a command', () => {
  const both = ['killed0001', 'living0001'];

  test.each<[string, number, (Set<string> | undefined)[], string[]]>([
    ['old pieces of a job that is missing twice', 600_000, [new Set(), new Set(['living0001'])], [`${living}/000000`]],
    ['nothing young', 599_999, [new Set(), new Set()], all],
    ['nothing of jobs that answer the second time', 600_000, [new Set(), new Set(both)], all],
    ['nothing while the running jobs are unknown', 600_000, [new Set(), undefined], all],
  ])('deletes %s', async (_, idle, answers, rest) => {
    const store = storeWith({ isBrief: true, livingJobs: async () => answers.shift() }, idle);
    const round = store.round();
    await store.clock.advance(1000);
    await round;
    expect(left(store)).toEqual(rest);
  });
});

test('the end of the maintenance waits for the deletions of failed jobs, with a time limit', async () => {
  const end = (cleared: Promise<void>) => {
    const store = { isOpen: false, cleared: () => cleared } as unknown as OwnStore;
    const clock = manualClock();
    const deps = { store, clock, isBrief: true } as unknown as Parameters<typeof maintainStore>[0];
    let isOver = false;
    const ended = maintainStore(deps)().then(() => {
      isOver = true;
    });
    return { clock, ended, isOver: () => isOver };
  };
  const { promise, resolve } = Promise.withResolvers<void>();
  const [waits, gives] = [end(promise), end(new Promise(() => {}))];
  for (const { clock } of [waits, gives]) await clock.advance(19_999);
  expect([waits.isOver(), gives.isOver()]).toEqual([false, false]);
  resolve();
  await waits.ended;
  await gives.clock.advance(1);
  await gives.ended;
});
