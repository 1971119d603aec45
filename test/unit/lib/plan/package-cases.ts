import { expect } from 'vitest';
import { type Plan, planSchema } from '../../../../schemas/plan.ts';
import type { SendRequest } from '../../../../schemas/request.ts';
import { plan } from '../../../support/planning.ts';
import { PoolModel } from '../../../support/pool-model.ts';

/** The tree of "Types of ZFS Snapshot Streams", made in the order in which the document lists it. */
export const documentTree = () =>
  new PoolModel('src', 'pool').run(
    'create pool/a',
    'create pool/a/1',
    'snapshot pool/a/1@clone',
    'create pool/b',
    'clone pool/a/1@clone pool/b/1',
    'snapshot pool/b/1@clone2',
    'clone pool/b/1@clone2 pool/b/2',
    'snapshot -r pool/b@pre-send',
    'snapshot -r pool/b@send',
  );

export const empty = (pool = 'pool') => new PoolModel('dst', pool, { next: 500_000 });
export const replication = { package: 'replication' } as const;
export const recursive = { package: 'recursive' } as const;

export const planned = (
  source: PoolModel,
  target: PoolModel,
  dataset: string,
  more: Partial<SendRequest> = {},
): Plan => {
  const result = plan({ dataset, to: { host: 'dst' }, ...more }, source.inventory(), target.inventory());
  expect(planSchema.parse(result)).toEqual(result);
  return result;
};

/** A target that has received that much already. */
export function having(
  source: PoolModel,
  target: PoolModel,
  dataset: string,
  more: Partial<SendRequest>,
  steps?: number,
) {
  const result = planned(source, target, dataset, more);
  if (!result.ok) throw new Error(result.error.message);
  const notes = new Set(result.notes?.map((note) => note.dataset));
  for (const step of result.steps.slice(0, steps)) target.receive(step, source, notes);
  return target;
}

/** The document's own form: TYPE SNAPSHOT INCREMENTAL-FROM. */
export const table = (result: Plan): string[] | string =>
  result.ok
    ? result.steps.map(({ type, to, from }) => `${type.slice(0, 4)} ${to.name} ${from?.name ?? '-'}`)
    : result.error.code;

const origin = { name: 'pool/a/1@clone', guid: '' };
/** A target that has pool/a/1@clone, by guid. */
export function withOrigin(source: PoolModel): PoolModel {
  origin.guid = source.find(origin.name)?.guid ?? '';
  return having(source, empty(), 'pool/a/1', {});
}
