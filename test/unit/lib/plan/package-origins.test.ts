import { describe, expect, it } from 'vitest';
import type { Plan } from '../../../../schemas/plan.ts';
import type { SendRequest } from '../../../../schemas/request.ts';
import { mentions } from '../../../support/mentions.ts';
import { plan } from '../../../support/planning.ts';
import { PoolModel } from '../../../support/pool-model.ts';

const replication = { package: 'replication' } as const;
const recursive = { package: 'recursive' } as const;
const emptyTarget = () => new PoolModel('dst', 'tank', { next: 900_000 });

const planned = (source: PoolModel, target: PoolModel, dataset: string, to: string, more: Partial<SendRequest> = {}) =>
  plan({ dataset, to: { host: 'dst', dataset: to }, ...more }, source.inventory(), target.inventory());

function carryOut(result: Plan, source: PoolModel, target: PoolModel): void {
  if (!result.ok) throw new Error(result.error.message);
  const placeholders = new Set(result.notes?.map(({ dataset }) => dataset));
  for (const step of result.steps) target.receive(step, source, placeholders);
}

const originOf = (result: Plan, target: string) =>
  result.ok ? result.steps.find((step) => step.targetDataset === target)?.origin : result.error.code;

describe("a clone's origin on the target", () => {
  it('is the copy in its own target if several hosts have sent the same image', () => {
    const source = new PoolModel('b', 'zones').run('create zones/img', 'snapshot zones/img@v1');
    source.run('clone zones/img@v1 zones/vm', 'snapshot zones/vm@now');
    const target = emptyTarget().run('create tank/host-a', 'create tank/host-b', 'create tank/host-c');
    for (const host of ['host-a', 'host-b', 'host-c'])
      carryOut(planned(source, target, 'zones/img', `tank/${host}/img`), source, target);
    for (const host of ['host-a', 'host-b', 'host-c'])
      expect(originOf(planned(source, target, 'zones/vm', `tank/${host}/vm`), `tank/${host}/vm`)).toBe(
        `tank/${host}/img@v1`,
      );
    expect(originOf(planned(source, target, 'zones/vm', 'tank/elsewhere/vm'), 'tank/elsewhere/vm')).toBe(
      'tank/host-a/img@v1',
    );
  });

  it('is found by guid also if its dataset was renamed at the source, and is refused itself', () => {
    const source = new PoolModel('src', 'zones').run('create zones/a', 'create zones/a/x', 'snapshot -r zones/a@1');
    const target = emptyTarget();
    carryOut(planned(source, target, 'zones/a@1', 'tank/a', replication), source, target);
    source.run('rename zones/a/x zones/a/z', 'clone zones/a/z@1 zones/a/c', 'snapshot -r zones/a@2');
    const result = planned(source, target, 'zones/a@2', 'tank/a', replication);
    expect(originOf(result, 'tank/a/c')).toBe('tank/a/x@1');
    expect(result.ok && result.refused?.map(({ dataset }) => dataset)).toEqual(['zones/a/z']);
    expect(
      originOf(planned(source, target, 'zones/a@2', 'tank/a', { ...replication, selfContained: true }), 'tank/a/c'),
    ).toBe(undefined);
  });

  it('that the target can no longer receive is refused with fixes that work', () => {
    const source = new PoolModel('src', 'zones').run('create zones/a', 'create zones/a/x', 'snapshot -r zones/a@1');
    source.run('snapshot -r zones/a@2');
    const target = emptyTarget();
    carryOut(planned(source, target, 'zones/a@2', 'tank/a', recursive), source, target);
    source.run('clone zones/a/x@1 zones/a/y', 'snapshot -r zones/a@3');
    const result = planned(source, target, 'zones/a@3', 'tank/a', recursive);
    expect(result).toMatchObject({ ok: false, error: { code: 'ORIGIN_MISSING' } });
    expect(!result.ok && result.error.message).toEqual(mentions('tank/a/x', "--exclude 'zones/a/y'", '-c'));
    for (const way of [{ exclude: ['zones/a/y'] }, { selfContained: true }])
      expect(planned(source, target, 'zones/a@3', 'tank/a', { ...recursive, ...way })).toMatchObject({ ok: true });
  });

  it('that was left out of the package is requested in it: sent alone it would take the names of its parents', () => {
    const source = new PoolModel('src', 'z').run(
      'create z/p',
      'create z/p/a',
      'snapshot z/p/a@o',
      'clone z/p/a@o z/p/b',
    );
    source.run('snapshot -r z/p@1');
    const result = planned(source, emptyTarget(), 'z/p@1', 'tank/p', { ...replication, exclude: ['a'] });
    expect(result).toMatchObject({ ok: false, error: { code: 'ORIGIN_MISSING' } });
    expect(!result.ok && result.error.message).toEqual(mentions('z/p/a', '@o', '-c'));
    const inside = new PoolModel('src', 'z').run('create z/p', 'snapshot z/p@o', 'clone z/p@o z/p/b', 'promote z/p/b');
    inside.run('snapshot -r z/p@1');
    const promoted = planned(inside, emptyTarget(), 'z/p@1', 'tank/p', replication);
    expect(!promoted.ok && promoted.error.message).toEqual(mentions('z/p', 'z/p/b@o', '-c'));
  });

  it('that the named snapshot excludes is refused for that reason', () => {
    const source = new PoolModel('src', 'z').run(
      'create z/p',
      'create z/p/a',
      'snapshot z/p/a@o',
      'clone z/p/a@o z/p/b',
    );
    source.run('snapshot z/p@1', 'snapshot z/p/b@1');
    const result = planned(source, emptyTarget(), 'z/p@1', 'tank/p', replication);
    expect(result).toMatchObject({ ok: false, error: { code: 'NO_SUCH_SNAPSHOT' } });
    expect(!result.ok && result.error.message).toEqual(mentions('z/p/a', 'src', '@1', '--skip-missing', 'z/p/b'));
  });

  it('is never the source itself on one host', () => {
    const host = new PoolModel('one', 'z').run('create z/p', 'create z/p/a', 'snapshot z/p/a@o', 'clone z/p/a@o z/p/b');
    host.run('snapshot -r z/p@1', 'create z/copy', 'create z/copy/a', 'snapshot z/copy/a@mine', 'snapshot z/copy@x');
    const result = plan(
      { dataset: 'z/p@1', to: { host: 'one', dataset: 'z/copy2' }, ...replication, exclude: ['a'] },
      host.inventory(),
      host.inventory(),
    );
    expect(originOf(result, 'z/copy2/b')).toBe('ORIGIN_MISSING');
  });

  it('that is missing refuses the package also if a dataset before it has diverged', () => {
    const source = new PoolModel('src', 'z').run('create z/o', 'snapshot z/o@1', 'create z/r', 'create z/r/a');
    source.run('snapshot -r z/r@1');
    const target = emptyTarget();
    carryOut(planned(source, target, 'z/r@1', 'tank/r', replication), source, target);
    target.run('snapshot tank/r/a@mine');
    source.run('clone z/o@1 z/r/c', 'snapshot -r z/r@2');
    expect(planned(source, target, 'z/r@2', 'tank/r', replication)).toMatchObject({
      ok: false,
      error: { code: 'ORIGIN_MISSING' },
    });
  });

  it('may be all that a promotion has left to send: the dataset is created nevertheless', () => {
    const source = new PoolModel('src', 'z').run(
      'create z/r',
      'create z/r/a',
      'snapshot -r z/r@1',
      'snapshot -r z/r@2',
    );
    const target = emptyTarget();
    carryOut(planned(source, target, 'z/r@2', 'tank/r', replication), source, target);
    source.run('clone z/r/a@2 z/r/b', 'promote z/r/b');
    // both @1 and @2 are z/r/b's now, and the target has them as tank/r/a's
    const result = planned(source, target, 'z/r@2', 'tank/r', { ...replication, skipMissing: true });
    expect(result.ok && result.steps.some((step) => step.targetDataset === 'tank/r/b')).toBe(true);
  });
});

describe('the notes of a package', () => {
  it('name the dataset that a placeholder replaces', () => {
    const source = new PoolModel('src', 'z').run(
      'create z/p',
      'create z/p/c',
      'snapshot z/p/c@daily',
      'snapshot z/p@hourly',
    );
    const result = planned(source, emptyTarget(), 'z/p', 'tank/x/p', { ...replication, snapshots: ['daily'] });
    expect(
      result.ok && result.notes?.filter(({ kind }) => kind === 'placeholder').map(({ message }) => message),
    ).toEqual([mentions('tank/x', 'dst'), mentions('tank/x/p', 'dst', 'z/p')]);
  });

  it('include a pattern that matches no snapshot, also if one is named', () => {
    const source = new PoolModel('src', 'z').run('create z/p', 'snapshot z/p@hourly', 'snapshot z/p@now');
    const result = planned(source, emptyTarget(), 'z/p@now', 'tank/p', {
      ...replication,
      snapshots: ['dayly-*', 'h*'],
    });
    expect(result.ok && result.notes).toEqual([
      { kind: 'unmatched', dataset: 'z/p', message: mentions('--snapshots dayly-*', 'z/p') },
    ]);
  });

  it('are a refusal if no pattern matches, though origins are sent in any case', () => {
    const source = new PoolModel('src', 'z').run(
      'create z/p',
      'create z/p/a',
      'snapshot z/p/a@o',
      'clone z/p/a@o z/p/b',
    );
    source.run('snapshot -r z/p@1');
    const asked = { ...replication, snapshots: ['zz'] };
    expect(planned(source, emptyTarget(), 'z/p', 'tank/p', asked)).toMatchObject({
      ok: false,
      error: { code: 'NO_SUCH_SNAPSHOT', message: mentions('z/p', 'src', 'zz') },
    });
    expect(planned(source, emptyTarget(), 'z/p@1', 'tank/p', asked)).toMatchObject({ ok: true });
  });

  it('are a refusal for a pool that the listing does not have', () => {
    const source = new PoolModel('src', 'z').run('create z/p', 'snapshot z/p@now');
    expect(planned(source, emptyTarget(), 'z/p', 'nopool/p', replication)).toMatchObject({
      ok: false,
      error: { code: 'NO_SUCH_DATASET', details: { pool: 'nopool' } },
    });
  });
});
