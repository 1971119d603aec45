import { describe, expect, test } from 'vitest';
import { type Left, notRepaired, openModel, staleMarks } from '../../chaos/model.ts';
import { faults, requestKinds, scenarioOf, shuffledDeck } from '../../chaos/scenarios.ts';
import type { Listing } from '../../support/listing.ts';
import { openRandom } from '../../support/random.ts';

const bounds = { targets: 2, servers: 3, asked: ['p/t/a', 'p/t/b'], policy: 'p/policy' };

function scenariosOf(seed: number, count: number) {
  const random = openRandom(seed);
  const deck = shuffledDeck(random);
  return Array.from({ length: count }, (_, round) => scenarioOf(deck, round, random, bounds));
}

describe('the scenarios of a chaos run', () => {
  test('are the same for the same seed, and others for another', () => {
    expect(scenariosOf(7, 30)).toEqual(scenariosOf(7, 30));
    expect(scenariosOf(7, 30)).not.toEqual(scenariosOf(8, 30));
  });

  test('let every fault meet every kind within one deck', () => {
    const pairs = scenariosOf(1, requestKinds.length * faults.length).map(({ kind, fault }) => `${kind} ${fault}`);
    expect(new Set(pairs).size).toBe(requestKinds.length * faults.length);
  });

  test('send written data to reachable targets: a policy its own dataset, an absent target shares the others’ data', () => {
    for (const { kind, writes, to, away } of scenariosOf(3, 200)) {
      expect(writes.length).toBeGreaterThan(0);
      expect(writes.every(({ dataset }) => (dataset === bounds.policy) === (kind === 'event'))).toBe(true);
      expect(to).toHaveLength(kind === 'single' ? 1 : 2);
      expect(away !== undefined && to.includes(away)).toBe(kind === 'offline');
    }
  });
});

/** `a@1 a@2` as a listing of p; the guid is the name. */
function listing(...names: string[]): Listing {
  const snapshots = names.map((name) => {
    const [dataset = '', leaf = ''] = `p/${name}`.split('@');
    return { name: `p/${name}`, dataset, leaf, guid: name };
  });
  return { datasets: [...new Set(snapshots.map(({ dataset }) => dataset))], snapshots };
}

describe('the model of a chaos run', () => {
  const model = openModel();
  model.sent('dst', listing('a@1', 'b@1'), ['p/a']);
  model.sent('dst', listing('a@2'), ['p/a']);
  model.sent('site-b', listing('b@1'), ['p/b']);

  test('wants exactly the sent snapshots on each target, also those that the source lost', () => {
    expect(model.differences('dst', listing('a@1', 'a@2'))).toEqual([]);
    expect(model.differences('dst', listing('a@2', 'b@1'))).toEqual([
      'dst lacks p/a@1 (a@1)',
      'dst has p/b@1 (b@1), which was not sent there',
    ]);
    expect(model.differences('unknown', listing())).toEqual([]);
  });

  const clean: Left = {
    locks: [],
    stored: [],
    sourceHolds: [],
    targetHolds: new Map([
      ['dst', ['p/a@2 zpsend:base']],
      ['site-b', ['p/b@1 zpsend:base']],
    ]),
    bookmarks: [{ name: 'p/a#zpsend_dst_00c0ffee_2', guid: '2' }],
  };

  test('reports all remaining marks except last-received holds and cursors', () => {
    expect(staleMarks(clean)).toEqual([]);
    for (const more of [
      { locks: ['p/a on dst'] },
      { stored: ['abcdef/manifest'] },
      { sourceHolds: ['p/a@1 zpsend:job.0.00c0ffee'] },
      { targetHolds: new Map([['dst', ['p/a@2 zpsend:rollback']]]) },
      { bookmarks: [{ name: 'p/a#mine', guid: '2' }] },
      // a cursor's name has its guid
      { bookmarks: [{ name: 'p/a#zpsend_dst_00c0ffee_2', guid: '3' }] },
    ])
      expect(staleMarks({ ...clean, ...more })).toHaveLength(1);
  });

  test('wants one cursor and one last-received hold for each dataset and target, of the newest, after a calm round', () => {
    const snapshots = listing('a@1', 'a@2').snapshots.map((each, at) => ({ ...each, guid: String(at + 1) }));
    const numbered = openModel();
    numbered.sent('dst', { datasets: ['p/a'], snapshots }, ['p/a']);
    expect(notRepaired(clean, numbered, ['dst'], ['p/a'])).toEqual([]);
    const older = { name: 'p/a#zpsend_dst_00c0ffee_1', guid: '1' };
    expect(notRepaired({ ...clean, bookmarks: [older, ...clean.bookmarks] }, numbered, ['dst'], ['p/a'])).toEqual([
      'cursors on p/a: 1, 2; there should be 2',
    ]);
    const targetHolds = new Map([['dst', ['p/a@1 zpsend:base']]]);
    expect(notRepaired({ ...clean, targetHolds }, numbered, ['dst'], ['p/a'])).toEqual([
      'base holds on dst: p/a@1 zpsend:base; there should be p/a@2 zpsend:base',
    ]);
  });
});
