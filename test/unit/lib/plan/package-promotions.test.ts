import { describe, expect, it } from 'vitest';
import type { DatasetEntry } from '../../../../schemas/inventory.ts';
import type { Plan } from '../../../../schemas/plan.ts';
import type { SendRequest } from '../../../../schemas/request.ts';
import { plan } from '../../../support/planning.ts';
import { dataset, inventory, request } from './plan-history.ts';

/** `t/b@n <- t/b@s of p/a@s`: the sent snapshot, its base, and the origin on the target; a refusal is its code. */
const summary = (result: Plan): string[] | string =>
  result.ok
    ? result.steps.map(
        ({ to, from, origin }) =>
          `${to.name} <- ${from?.name ?? 'nothing'}${origin === undefined ? '' : ` of ${origin}`}`,
      )
    : result.error.code;

const refusedBy = (result: Plan) => result.ok && result.refused?.map(({ dataset: name, error }) => [name, error.code]);

const replicated = (source: DatasetEntry[], target: DatasetEntry[], more: Partial<SendRequest> = {}): Plan =>
  plan(
    request('t/r', { package: 'replication', to: { host: 'dst', dataset: 'p/x' }, ...more }),
    inventory('src', ...source),
    inventory('dst', ...target),
  );

describe('-c after a promotion', () => {
  // t/r/b was a clone of t/r/a@s, and was promoted
  const source = [
    dataset('t/r', '@s,10,5'),
    dataset('t/r/b', '@s,20,5 @n,31,9'),
    dataset('t/r/a', '@n,21,9', { origin: { name: 't/r/b@s', guid: '20' } }),
  ];
  const target = [dataset('p/x', '@s,10,5'), dataset('p/x/a', '@s,20,6')];

  it('uses no snapshot of an excluded dataset', () => {
    const asked = { selfContained: true, exclude: ['a'] };
    expect(summary(replicated(source, target, asked))).toEqual(['t/r/b@s <- nothing', 't/r/b@n <- t/r/b@s']);
    expect(summary(replicated(source, target, { exclude: ['a'] }))).toEqual(['t/r/b@n <- t/r/b@s of p/x/a@s']);
  });

  it('uses a snapshot of the package itself', () => {
    const result = replicated(source, target, { selfContained: true });
    expect(summary(result)).toEqual(['t/r/b@n <- t/r/b@s of p/x/a@s']);
    expect(refusedBy(result)).toEqual([['t/r/a', 'DIVERGED']]);
  });

  it('uses a snapshot of the package itself also if an excluded dataset has it too', () => {
    const also = [...source, dataset('t/r/0', '@n,41,9', { origin: { name: 't/r/b@s', guid: '20' } })];
    const there = [...target, dataset('p/x/0', '@s,20,4')];
    expect(summary(replicated(also, there, { selfContained: true, exclude: ['0'] }))).toContain(
      't/r/b@n <- t/r/b@s of p/x/a@s',
    );
  });
});
