import { describe, expect, test } from 'vitest';
import { isRefusal } from '../../../../../lib/plan/refusal.ts';
import type { DatasetEntry, Inventory } from '../../../../../schemas/inventory.ts';
import type { SendRequest } from '../../../../../schemas/request.ts';
import { type Arrived, afterLoss } from '../../../../../services/sender/planning/vanished.ts';
import { contextOf, planDatasets } from '../../../../support/planning.ts';
import { dataset, inventory, request } from '../../../lib/plan/plan-history.ts';

const at = (...datasets: DatasetEntry[]): Inventory => inventory('src', ...datasets);
const on = (...datasets: DatasetEntry[]): Inventory => inventory('dst', dataset('p', ''), ...datasets);

interface Case {
  ask?: Partial<SendRequest>;
  /** The source as the job found it, and as it is when a chain plans again; the target likewise. */
  before: Inventory;
  after: Inventory;
  target?: Inventory;
  received?: Inventory;
  /** Guids that the job has brought to the dataset whose chain it is. */
  arrived?: string[];
  /** Guids that it has brought to other datasets. */
  elsewhere?: string[];
  /** Whose chain it is. */
  of?: string;
}

const broughtTo = (target = 'p/elsewhere', guids: readonly string[] = []): Arrived[] =>
  guids.map((guid) => ({ targetDataset: target, to: { name: `p/x@${guid}`, guid } }));

/** The names in a text, in their order. */
const namesIn = (message: string): string => message.match(/@\w+|p\/a[\w/]*|\bsrc\b/g)?.join(' ') ?? '';

/** `done; names of the note`, the remaining snapshots, or the code and the names of its failure. */
function outcome({ ask, before, after, target = on(), received = target, of = 'p/a', ...brought }: Case): string {
  const asked = request('p/a', ask);
  const planned = planDatasets(asked, before, target);
  if (isRefusal(planned)) throw new Error(planned.error.message);
  const steps = planned.datasets.find((one) => one.sourceDataset === of)?.steps ?? [];
  const made = { plans: planDatasets(asked, after, received), source: after, target: received };
  const left = afterLoss(contextOf(asked), { sourceDataset: of, steps }, made, [
    ...broughtTo(steps[0]?.targetDataset, brought.arrived),
    ...broughtTo('p/elsewhere', brought.elsewhere),
  ]);
  if (!left) return 'not part of it';
  if (isRefusal(left)) return `${left.error.code}: ${namesIn(left.error.message)}`;
  const words = left.steps.length === 0 ? 'done' : left.steps.map(({ to }) => to.name).join(', ');
  return left.note ? `${words}; ${namesIn(left.note.message)}` : words;
}

const whole = { package: 'replication' } as const;
const all = at(dataset('p/a', '@1,1 @2,2 @3,3'));
const one = on(dataset('p/a', '@1,1'));
const tree = at(dataset('p/a', '@d,1'), dataset('p/a/kid', '@d,2'));

describe('snapshots that vanish at the source during a job', () => {
  test.each<[string, Case, string]>([
    ['nothing', { before: all, after: all, received: one, arrived: ['1'] }, 'p/a@2, p/a@3'],
    [
      'one of several snapshots: the others are sent',
      { before: all, after: at(dataset('p/a', '@1,1 @3,3')), received: one, arrived: ['1'] },
      'p/a@3; @2 p/a src',
    ],
    [
      'all remaining snapshots: the arrived ones are the result',
      { before: all, after: at(dataset('p/a', '@1,1')), received: one, arrived: ['1'] },
      'done; @2 @3 p/a src',
    ],
    [
      'all of them, once one has arrived',
      { before: all, after: at(dataset('p/a', '')), received: one, arrived: ['1'] },
      'done; @2 @3 p/a src',
    ],
    [
      'all of them, and nothing has arrived',
      { before: all, after: at(dataset('p/a', '')) },
      'NO_SUCH_SNAPSHOT: @1 @2 @3 p/a src p/a src',
    ],
    [
      'all of them after all have arrived, one of them unreported',
      { before: all, after: at(dataset('p/a', '')), received: on(dataset('p/a', '@1,1 @2,2 @3,3')), arrived: ['1'] },
      'done',
    ],
    [
      'all of them after the named one has arrived unreported',
      {
        ask: { dataset: 'p/a@3' },
        before: all,
        after: at(dataset('p/a', '')),
        received: on(dataset('p/a', '@1,1 @2,2 @3,3')),
        arrived: ['1', '2'],
      },
      'done',
    ],
    [
      'all that match a pattern, once one has arrived',
      { ask: { snapshots: ['?'] }, before: all, after: at(dataset('p/a', '@other,9')), received: one, arrived: ['1'] },
      'done; @2 @3 p/a src',
    ],
    [
      'the snapshot that was named, after others have arrived',
      { ask: { dataset: 'p/a@3' }, before: all, after: at(dataset('p/a', '@1,1')), received: one, arrived: ['1'] },
      'NO_SUCH_SNAPSHOT: @2 @3 p/a src p/a src @3',
    ],
    [
      'one before the snapshot that was named',
      { ask: { dataset: 'p/a@3' }, before: all, after: at(dataset('p/a', '@1,1 @3,3')), received: one, arrived: ['1'] },
      'p/a@3; @2 p/a src',
    ],
    [
      'the snapshot that was named, while one of the same guid has arrived for a replica of the same package',
      {
        ask: { ...whole, dataset: 'p/a@d' },
        before: at(dataset('p/a', '@d,1'), dataset('p/a/kid', '@d,2'), dataset('p/a/twin', '@d,2')),
        after: at(dataset('p/a', '@d,1'), dataset('p/a/kid', '', { createtxg: '1' }), dataset('p/a/twin', '@d,2')),
        elsewhere: ['1', '2'],
        of: 'p/a/kid',
      },
      'NO_SUCH_SNAPSHOT: @d p/a/kid src',
    ],
    [
      'the one snapshot of an increment',
      { ask: { dataset: 'p/a@2', from: '@1' }, before: all, target: one, after: at(dataset('p/a', '@1,1')) },
      'NO_SUCH_SNAPSHOT: @2 p/a src p/a src @2',
    ],
    [
      'the base of an increment, which is still to come',
      { ask: { dataset: 'p/a@2', from: '@1' }, before: all, target: one, after: at(dataset('p/a', '@2,2')) },
      'NO_SUCH_SNAPSHOT: p/a src @1',
    ],
    [
      'the snapshot of a full stream, whose name another one has',
      { ask: { dataset: 'p/a@1', full: true }, before: all, after: at(dataset('p/a', '@1,7')) },
      'p/a@1; @1 p/a src',
    ],
    [
      'a dataset of a package',
      { ask: whole, before: tree, after: at(dataset('p/a', '@d,1')), of: 'p/a/kid' },
      'done; p/a/kid src @d',
    ],
    [
      'a dataset of a package up to a snapshot',
      { ask: { ...whole, dataset: 'p/a@d' }, before: tree, after: at(dataset('p/a', '@d,1')), of: 'p/a/kid' },
      'done; p/a/kid src @d',
    ],
    [
      'the snapshots of one dataset of a package',
      { ask: whole, before: tree, after: at(dataset('p/a', '@d,1'), dataset('p/a/kid', '')), of: 'p/a/kid' },
      'done; @d p/a/kid src',
    ],
    [
      'the named snapshot in one dataset of a package',
      {
        ask: { ...whole, dataset: 'p/a@d' },
        before: tree,
        after: at(dataset('p/a', '@d,1'), dataset('p/a/kid', '', { createtxg: '1' })),
        of: 'p/a/kid',
      },
      'NO_SUCH_SNAPSHOT: @d p/a/kid src',
    ],
    [
      'the same, if a dataset without it may be left out',
      {
        ask: { ...whole, dataset: 'p/a@d', skipMissing: true },
        before: tree,
        after: at(dataset('p/a', '@d,1'), dataset('p/a/kid', '')),
        of: 'p/a/kid',
      },
      'done; @d p/a/kid src',
    ],
    [
      'all snapshots of a package, once something of it has arrived',
      {
        ask: whole,
        before: tree,
        after: at(dataset('p/a', ''), dataset('p/a/kid', '')),
        elsewhere: ['1'],
        of: 'p/a/kid',
      },
      'done; @d p/a/kid src',
    ],
    [
      'all snapshots of a package, before any has arrived',
      { ask: whole, before: tree, after: at(dataset('p/a', ''), dataset('p/a/kid', '')), of: 'p/a/kid' },
      'NO_SUCH_SNAPSHOT: @d p/a/kid src p/a src',
    ],
  ])('%s', (_, scene, expected) => {
    const found = outcome(scene);
    // the planner decides the rest of a refusal
    expect(found.startsWith('NO_SUCH') ? found.slice(0, expected.length) : found).toBe(expected);
  });

  test('a refusal of the remaining steps is reported as it is', () => {
    const received = on(dataset('p/a', '@1,1 @mine,9'));
    expect(outcome({ before: all, after: at(dataset('p/a', '@1,1 @3,3')), received, arrived: ['1'] })).toMatch(
      /^DIVERGED: /,
    );
  });

  test('a snapshot that only the target lost has not vanished at the source', () => {
    const after = at(dataset('p/a', '@1,1 @2,2'));
    const received = on(dataset('p/a', '@9,9'));
    expect(outcome({ before: all, after, received, arrived: ['1'] })).toMatch(/^DIVERGED: /);
  });
});
