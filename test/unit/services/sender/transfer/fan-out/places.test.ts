import { expect, test } from 'vitest';
import type { Step } from '../../../../../../schemas/plan.ts';
import { openPlaces } from '../../../../../../services/sender/transfer/fan-out/places.ts';

const step: Step = { type: 'full', to: { name: 'zones/a@one', guid: '1' }, targetDataset: 'tank/a' };

test('a job that has not planned may need any step, and one that has planned only those of its datasets', () => {
  const places = openPlaces(1);
  expect(places.someAwaited(step)).toBe(true);
  places.planned(0, ['zones/b']);
  expect(places.someAwaited(step)).toBe(false);
  places.planned(0, ['zones/a']);
  expect(places.someAwaited(step)).toBe(true);
});

test('a job that is given up is waited for again, at a dataset, only once it has come to it', () => {
  const places = openPlaces(1);
  places.giveUp(step);
  expect(places.someAwaited(step)).toBe(false);
  places.move(0, 'zones/a', { is: 'coming' });
  expect(places.someAwaited(step)).toBe(true);
  places.giveUp(step);
  expect(places.someAwaited(step)).toBe(false);
});

test('nobody waits for a job that has ended', () => {
  const places = openPlaces(1);
  places.planned(0, ['zones/a']);
  places.gone(0);
  expect(places.someAwaited(step)).toBe(false);
  expect([...places.datasetsOf(0)]).toEqual([]);
});
