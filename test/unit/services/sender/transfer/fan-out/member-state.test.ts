import { expect, test } from 'vitest';
import type { Step } from '../../../../../../schemas/plan.ts';
import { openMemberStates } from '../../../../../../services/sender/transfer/fan-out/member-state.ts';

const step: Step = { type: 'full', to: { name: 'zones/a@one', guid: '1' }, targetDataset: 'tank/a' };

test('a job that has not planned may need any step, and a planned job only those of its datasets', () => {
  const states = openMemberStates(1);
  expect(states.someAwaited(step)).toBe(true);
  states.planned(0, ['zones/b']);
  expect(states.someAwaited(step)).toBe(false);
  states.planned(0, ['zones/a']);
  expect(states.someAwaited(step)).toBe(true);
});

test('an abandoned job is awaited again, at a dataset, only after it has arrived there', () => {
  const states = openMemberStates(1);
  states.giveUp(step);
  expect(states.someAwaited(step)).toBe(false);
  states.set(0, 'zones/a', { phase: 'coming' });
  expect(states.someAwaited(step)).toBe(true);
  states.giveUp(step);
  expect(states.someAwaited(step)).toBe(false);
});

test('an ended job is not awaited', () => {
  const states = openMemberStates(1);
  states.planned(0, ['zones/a']);
  states.ended(0);
  expect(states.someAwaited(step)).toBe(false);
  expect([...states.datasetsOf(0)]).toEqual([]);
});
