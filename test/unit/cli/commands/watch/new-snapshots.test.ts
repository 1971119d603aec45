import { expect, test } from 'vitest';
import { newSnapshots, snapshotsIn } from '../../../../../cli/commands/watch/new-snapshots.ts';
import { PoolModel } from '../../../../support/pool-model.ts';

test('new snapshots are found by guid: a renamed one is not new, a new one with an old name is', () => {
  const model = new PoolModel('src', 'pool').run('create pool/a', 'snapshot pool/a@1', 'snapshot pool/a@2');
  const before = snapshotsIn(model.inventory().datasets);
  expect(newSnapshots(before, model.inventory().datasets)).toEqual([]);
  model.run('destroy pool/a@2', 'snapshot pool/a@2', 'create pool/b', 'snapshot pool/b@x');
  expect(newSnapshots(before, model.inventory().datasets)).toEqual(['pool/a@2', 'pool/b@x']);
  model.run('rename pool/a pool/c', 'snapshot pool/c@3');
  expect(newSnapshots(before, model.inventory().datasets)).toEqual(['pool/b@x', 'pool/c@2', 'pool/c@3']);
});
