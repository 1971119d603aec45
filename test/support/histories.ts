import fc from 'fast-check';
import { datasetOf, parentOf } from '../../schemas/names.ts';
import type { PoolModel } from './pool-model.ts';

/** Something that happens to a host; numbers choose among what there is, so that any row of moves is a history. */
export interface Move {
  op:
    | 'create'
    | 'create -V'
    | 'snapshot'
    | 'snapshot -r'
    | 'clone'
    | 'promote'
    | 'rename'
    | 'rename snapshot'
    | 'bookmark'
    | 'destroy'
    | 'destroy snapshot'
    | 'write';
  which: number;
  where: number;
  name: string;
}

const weights: Record<Move['op'], number> = {
  create: 5,
  'create -V': 1,
  snapshot: 4,
  'snapshot -r': 5,
  clone: 5,
  promote: 2,
  rename: 2,
  'rename snapshot': 1,
  bookmark: 2,
  destroy: 1,
  'destroy snapshot': 3,
  // only where a history asks for it: what a source was written to does not show
  write: 0,
};

export const anyMove = (only?: readonly Move['op'][]): fc.Arbitrary<Move> =>
  fc.record({
    op: fc.oneof(
      ...(Object.keys(weights) as Move['op'][])
        .filter((op) => only === undefined || only.includes(op))
        .map((op) => ({ weight: weights[op], arbitrary: fc.constant(op) })),
    ),
    which: fc.nat(1000),
    where: fc.nat(1000),
    name: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
  });

const pick = <T>(list: readonly T[], at: number): T | undefined => list[at % Math.max(1, list.length)];

/**
 * The `zfs` command that a move comes to on this host, or undefined where there is nothing to do it to.
 * @param isAllowed datasets that it may touch; what it makes or moves comes below one of them, and they stay themselves
 */
export function commandOf(model: PoolModel, move: Move, isAllowed: (name: string) => boolean): string | undefined {
  const { op, which, where, name } = move;
  const all = [...model.datasets.keys()].filter(isAllowed).sort();
  const dataset = pick(all, which);
  const parent = pick(all, where);
  if (dataset === undefined || parent === undefined) return undefined;
  const snapshots = all.flatMap((one) => model.datasets.get(one)?.snapshots.map((snap) => `${one}@${snap.name}`) ?? []);
  const snapshot = pick(snapshots, which);
  const below = pick(
    all.filter((one) => isAllowed(parentOf(one) ?? '')),
    which,
  );
  switch (op) {
    case 'create':
      return `create ${parent}/${name}`;
    case 'create -V':
      return `create -V 1M ${parent}/${name}`;
    case 'snapshot':
    case 'snapshot -r':
      return `${op} ${dataset}@${name}${where % 10}`;
    case 'write':
      return `write ${dataset}`;
    case 'promote':
      return `promote ${
        pick(
          all.filter((one) => model.datasets.get(one)?.origin),
          which,
        ) ?? dataset
      }`;
    case 'rename':
      return below && `rename ${below} ${parent}/${name}`;
    case 'destroy':
      return below && `destroy -r ${below}`;
  }
  if (snapshot === undefined) return undefined;
  if (op === 'clone') return `clone ${snapshot} ${parent}/${name}`;
  if (op === 'bookmark') return `bookmark ${snapshot} ${datasetOf(snapshot)}#${name}${where % 10}`;
  if (op === 'rename snapshot') return `rename ${snapshot} ${datasetOf(snapshot)}@${name}${where % 10}`;
  return `destroy ${snapshot}`;
}

/** Makes the moves that can be made; gives the commands that were. */
export function play(model: PoolModel, moves: readonly Move[], isAllowed: (name: string) => boolean): string[] {
  const done: string[] = [];
  for (const move of moves) {
    const command = commandOf(model, move, isAllowed);
    if (command !== undefined && model.do(command)) done.push(command);
  }
  return done;
}
