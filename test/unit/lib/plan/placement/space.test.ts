import { describe, expect, it } from 'vitest';
import { shortagesOf } from '../../../../../lib/plan/placement/space.ts';
import type { DatasetEntry, Inventory } from '../../../../../schemas/inventory.ts';
import type { Step } from '../../../../../schemas/plan.ts';
import { mentions } from '../../../../support/mentions.ts';

const mib = 1024 * 1024;

const entry = (name: string, available: number | undefined, more: Partial<DatasetEntry> = {}): DatasetEntry => ({
  name,
  type: 'filesystem',
  guid: name,
  createtxg: '1',
  used: 0,
  referenced: 0,
  written: 0,
  encryption: 'off',
  ...(available !== undefined && { available: available * mib }),
  snapshots: [],
  bookmarks: [],
  ...more,
});

const target = (...datasets: DatasetEntry[]): Inventory => ({ host: 'dr-1', datasets });

const step = (name: string, size: number, more: Partial<Step> = {}): Step => ({
  type: 'full',
  to: { name: `zones/a@${size}`, guid: String(size) },
  targetDataset: name,
  size: size * mib,
  ...more,
});

const found = (steps: Step[], there: Inventory) => shortagesOf(steps, there).map(({ details }) => details?.dataset);

describe('room for a plan', () => {
  it('is short if the steps together take more than is available, and the error has both numbers', () => {
    const [one] = shortagesOf([step('tank/a', 40), step('tank/a', 30)], target(entry('tank', 62)));
    expect(one).toMatchObject({ code: 'NO_SPACE', details: { needed: 70 * mib, available: 62 * mib } });
    expect(one?.message).toEqual(mentions('70 MiB', 'tank', 'dr-1', '62 MiB'));
  });

  it('is enough if exactly that much is available', () => {
    expect(found([step('tank/a', 62)], target(entry('tank', 62)))).toEqual([]);
  });

  it('is checked in each dataset that limits its descendants, and reported for the topmost', () => {
    const there = target(entry('tank', 100), entry('tank/q', 10), entry('tank/q/x', 10));
    expect(found([step('tank/q/x/new', 20), step('tank/b', 20)], there)).toEqual(['tank/q']);
    expect(found([step('tank/q/x/new', 20), step('tank/b', 90)], there)).toEqual(['tank']);
    expect(found([step('tank/q/a', 8), step('tank/q/x', 8)], there)).toEqual(['tank/q']);
  });

  it('is unknown if the listing does not show it', () => {
    expect(found([step('tank/a', 1000)], target(entry('tank', undefined)))).toEqual([]);
    expect(found([step('tank/a', 1000)], target())).toEqual([]);
  });

  it('excludes the rest of an interrupted receive, and the space that a rollback frees', () => {
    const partial = target(entry('tank', 5), entry('tank/a', 5, { resumeToken: '1-abc' }));
    expect(found([step('tank/a', 1000)], partial)).toEqual([]);
    const before = {
      kind: 'rollback' as const,
      guid: '1',
      to: { name: 'tank/a@1', guid: '2' },
      destroys: [],
    };
    expect(found([step('tank/a', 1000, { before })], target(entry('tank/a', 5)))).toEqual([]);
  });
});
