import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import type { StreamsBucket } from '../../../../../lib/bus/channel/store/object-bucket.ts';
import {
  type GarbageCollectionDeps,
  openGarbageCollection,
  orphansIn,
} from '../../../../../services/sender/store/garbage-collection.ts';
import { keepStore } from '../../../../../services/sender/store/maintenance.ts';
import type { OwnStore } from '../../../../../services/sender/store/own-store.ts';

const [killed, living] = ['killed0001t1', 'living0001t1'];
const never = new AbortController().signal;

test('takes for orphans the pieces of no stream and no running job', () => {
  const names = [
    'job0000001t1/000000',
    'job0000002t1/000000',
    'job0000003t1/000000',
    'job0000003t1/manifest',
    'known/dst/pool/a',
    'of somebody else',
  ];
  const begun = [...names, 'job0000001t1/manifest', 'job0000001t1/000001', 'job0000003t1/000001'];
  const first = ['job0000001t1', ['job0000001t1/000000', 'job0000001t1/000001', 'job0000001t1/manifest']];
  expect([...orphansIn({ names, begun }, new Set(['job0000002']))]).toEqual([first]);
  expect([...orphansIn({ names, begun }, new Set())]).toEqual([first, ['job0000002t1', ['job0000002t1/000000']]]);
});

/** A store in memory, and a look at it as a keeper has it. */
function storeWith(
  deps: Partial<GarbageCollectionDeps> & Pick<GarbageCollectionDeps, 'livingJobs' | 'isBrief'>,
  idle = 0,
) {
  const names = new Set([`${killed}/000000`, `${killed}/000001`, `${living}/000000`]);
  const begun = new Set(names);
  const warnings: string[] = [];
  const bucket = {
    names: async () => [...names],
    begun: async () => [...begun],
    idle: async () => idle,
    remove: async (name: string) => {
      names.delete(name);
      begun.delete(name);
    },
  } as unknown as StreamsBucket;
  const log = { warn: (line: string) => warnings.push(line) } as unknown as GarbageCollectionDeps['log'];
  const sweep = openGarbageCollection({ log, missedMs: 40, idleMs: 1000, askedAgainMs: 1, ...deps });
  return { names, begun, warnings, look: async () => sweep(bucket, [...names], never) };
}

const left = ({ names, begun }: ReturnType<typeof storeWith>): string[] => [...new Set([...names, ...begun])].sort();
const all = [`${killed}/000000`, `${killed}/000001`, `${living}/000000`];

describe('a lasting sender', () => {
  test('removes what was missed in every look for long, and nothing of a job that lives', async () => {
    const store = storeWith({ isBrief: false, livingJobs: async () => new Set(['living0001']) });
    await store.look();
    expect(left(store)).toEqual(all);
    await sleep(50);
    await store.look();
    expect(left(store)).toEqual([`${living}/000000`]);
    expect(store.warnings).toHaveLength(1);
    await store.look();
    expect(store.warnings).toHaveLength(1);
  });

  test('takes nobody for dead who answered once, or while nobody can say', async () => {
    const said: (Set<string> | undefined)[] = [new Set(), new Set(['killed0001', 'living0001']), new Set(), undefined];
    const store = storeWith({ isBrief: false, livingJobs: async () => said.shift() });
    for (let looks = 0; looks < 4; looks++) {
      await store.look();
      await sleep(50);
    }
    expect(left(store)).toEqual(all);
  });

  test('leaves what has become whole, and of the rest the manifest until the segments are gone', async () => {
    const store = storeWith({ isBrief: false, livingJobs: async () => new Set() });
    store.begun.add(`${killed}/manifest`);
    await store.look();
    const before = [...store.names];
    await sleep(50);
    store.names.add(`${living}/manifest`);
    await store.look();
    expect(before).not.toContain(`${living}/manifest`);
    expect(left(store)).toEqual([`${killed}/manifest`, `${living}/000000`, `${living}/manifest`]);
    // what was begun is looked for again after some looks that find something changed
    for (let looks = 0; looks < 6; looks++) {
      await store.look();
      await sleep(20);
    }
    expect(left(store)).toEqual([`${living}/000000`, `${living}/manifest`]);
  });

  test('says nothing of what has gone by itself', async () => {
    const store = storeWith({ isBrief: false, livingJobs: async () => new Set() });
    await store.look();
    await sleep(50);
    for (const set of [store.names, store.begun]) set.clear();
    await store.look();
    expect(store.warnings).toEqual([]);
  });
});

describe('the sender of a command', () => {
  const answers = (...said: (Set<string> | undefined)[]) => ({ isBrief: true, livingJobs: async () => said.shift() });
  const both = ['killed0001', 'living0001'];

  test.each<[string, number, (Set<string> | undefined)[], string[]]>([
    ['what is old, and whose job was missed twice', 2000, [new Set(), new Set(['living0001'])], [`${living}/000000`]],
    ['nothing young', 500, [new Set(), new Set()], all],
    ['nothing of jobs that answer the second time', 2000, [new Set(), new Set(both)], all],
    ['nothing while nobody can say', 2000, [new Set(), undefined], all],
  ])('removes %s', async (_, idle, said, rest) => {
    const store = storeWith(answers(...said), idle);
    await store.look();
    expect(left(store)).toEqual(rest);
  });
});

test('the end of a keeper waits for what failed jobs remove', async () => {
  const cleared = Promise.withResolvers<void>();
  const store = { isOpen: false, cleared: () => cleared.promise } as unknown as OwnStore;
  const end = keepStore({ store, waits: true } as unknown as Parameters<typeof keepStore>[0]);
  let isOver = false;
  const ended = end().then(() => {
    isOver = true;
  });
  await sleep(100);
  expect(isOver).toBe(false);
  cleared.resolve();
  await ended;
});
