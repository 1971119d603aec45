import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ownReplicas } from '../../../../lib/plan/own-replicas.ts';
import type { DatasetEntry } from '../../../../schemas/inventory.ts';
import { isWithin } from '../../../../schemas/names.ts';
import { mentions } from '../../../support/mentions.ts';
import { plan } from '../../../support/planning.ts';

let txg = 0;
const dataset = (name: string, guid: string, guids: string[] = [], stream?: string): DatasetEntry => ({
  ...{ name, guid, type: 'filesystem', createtxg: '1', used: 1, referenced: 1, written: 0, encryption: 'off' },
  ...(stream !== undefined && { stream }),
  snapshots: guids.map((one) => {
    txg += 1;
    return { name: `s${one}`, guid: one, createtxg: String(txg + 1), used: 0, referenced: 1, written: 1, userrefs: 0 };
  }),
  bookmarks: [],
});
const listed = (...all: DatasetEntry[]) => new Map(all.map((entry) => [entry.name, entry]));

describe('a replica of the package inside it', () => {
  test.each<[string, DatasetEntry[], [string, string][]]>([
    ['by its mark', [dataset('t', '1', ['10']), dataset('t/b', '2', [], '1:')], [['t/b', 't']]],
    [
      'with its descendants, which inherit the mark',
      [dataset('t', '1'), dataset('t/b', '2', [], '1:raw'), dataset('t/b/c', '3', [], '1:raw')],
      [
        ['t/b', 't'],
        ['t/b/c', 't'],
      ],
    ],
    [
      'over another host, by a snapshot',
      [dataset('t', '1', ['10', '11']), dataset('t/b', '2', ['11'], '9:')],
      [['t/b', 't']],
    ],
    [
      'of a dataset in the middle',
      [dataset('t', '1', ['10']), dataset('t/x', '2', ['11']), dataset('t/x/y', '3'), dataset('t/x/y/z', '4', ['11'])],
      [['t/x/y/z', 't/x']],
    ],
    ['not beside it', [dataset('t', '1'), dataset('t/x', '2', ['11']), dataset('t/y', '3', ['11'], '2:')], []],
    ['not a replica that is sent on', [dataset('t', '1', ['10'], '9:'), dataset('t/x', '2', ['11'], '9:')], []],
  ])('%s', (_what, all, found) => expect([...ownReplicas(listed(...all))]).toEqual(found));

  test('is left out of the package with a note', () => {
    const source = { host: 'a', datasets: [dataset('t/x', '1', ['10']), dataset('t/x/back', '2', ['10'])] };
    const target = { host: 'b', datasets: [dataset('t', '5')] };
    const made = plan({ dataset: 't/x', to: { host: 'b' }, package: 'replication' }, source, target);
    expect(made).toMatchObject({ ok: true, steps: [{ to: { name: 't/x@s10' } }] });
    expect(made.ok && made.notes).toMatchObject([{ kind: 'skipped', dataset: 't/x/back', message: mentions('t/x') }]);
  });
});

test('in a replication loop of two hosts, a tree stops growing', () => {
  const names = fc.uniqueArray(fc.constantFrom('t', 't/x', 't/x/y', 't/z'), { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(names, fc.nat(3), (some, deep) => {
      const hosts = { a: new Map<string, DatasetEntry>(), b: new Map<string, DatasetEntry>() };
      for (const [at, name] of ['t', ...some].entries()) {
        hosts.a.set(name, dataset(name, `1${at}`, [`2${at}`]));
      }
      hosts.b.set('p', dataset('p', '50'));
      const back = ['t/back', 't/x/back', 't/x/y/back', 't/z/back'][deep] ?? 't/back';
      let guid = 100;
      const send = (from: Map<string, DatasetEntry>, root: string, to: Map<string, DatasetEntry>, at: string): void => {
        const tree = new Map([...from].filter(([name]) => isWithin(name, root)));
        const left = ownReplicas(tree);
        for (const [name, entry] of tree) {
          if ([...left.keys()].some((above) => isWithin(name, above))) continue;
          const there = at + name.slice(root.length);
          if (!to.has(there)) to.set(there, { ...entry, name: there, guid: String(guid++), stream: `${entry.guid}:` });
        }
      };
      const sizes: number[] = [];
      for (let round = 0; round < 8; round += 1) {
        send(hosts.a, 't', hosts.b, 'p/a');
        send(hosts.b, 'p', hosts.a, back);
        sizes.push(hosts.a.size + hosts.b.size);
      }
      expect(sizes.at(-1)).toBe(sizes.at(-3));
    }),
  );
});
