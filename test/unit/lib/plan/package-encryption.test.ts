import { describe, expect, it } from 'vitest';
import type { DatasetEntry } from '../../../../schemas/inventory.ts';
import type { Plan } from '../../../../schemas/plan.ts';
import type { SendRequest } from '../../../../schemas/request.ts';
import { mentions } from '../../../support/mentions.ts';
import { plan } from '../../../support/planning.ts';
import { dataset, inventory, request, short } from './plan-history.ts';

const open = { encryption: 'aes-256-gcm', keystatus: 'available' } as const;
const locked = { encryption: 'aes-256-gcm', keystatus: 'unavailable' } as const;
const pool = dataset('p', '');

const sent = (source: DatasetEntry[], target: DatasetEntry[], to: string, more: Partial<SendRequest> = {}): Plan =>
  plan(
    request('t/c', { to: { host: 'dst', dataset: to }, ...more }),
    inventory('src', ...source),
    inventory('dst', pool, ...target),
  );
const steps = (...args: Parameters<typeof sent>) => short(sent(...args), 't/c');

describe('below an encrypted dataset', () => {
  const source = [dataset('t/c', '@a,1 @b,2')];

  it.each(['p/enc/c', 'p/enc/m/c'])('whose key is not loaded, no dataset can be created: %s', (to) => {
    const result = sent(source, [dataset('p/enc', '', locked)], to);
    expect(result).toMatchObject({ ok: false, error: { code: 'KEY_REQUIRED', details: { above: 'p/enc' } } });
    const made = to === 'p/enc/c' ? to : 'p/enc/m';
    expect(!result.ok && result.error.message).toEqual(mentions(made, 'dst', 'zfs load-key -r p/enc'));
  });

  it('edge case 11: whose key is not loaded, a package is refused if none of it can be sent', () => {
    const tree = [...source, dataset('t/c/d', '@b,3')];
    expect(steps(tree, [dataset('p/enc', '', locked)], 'p/enc/c', { package: 'replication' })).toBe('KEY_REQUIRED');
  });

  it('edge case 28: whose key is not loaded, only the datasets that need the key are refused, with a note (openzfs#13033)', () => {
    const tree = [
      dataset('t/c', '@a,1 @b,2', open),
      dataset('t/c/gap', ''),
      dataset('t/c/gap/raw', '@b,4', open),
      dataset('t/c/plain', '@b,3'),
      dataset('t/c/plain/raw', '@b,5', open),
      dataset('t/c/raw', '@b,6', open),
    ];
    const asked = { package: 'replication' } as const;
    const result = sent(tree, [dataset('p/enc', '', open)], 'p/enc/c', asked);
    expect(short(result, 't/c')).toEqual(['full @a', '@a -> @b', 'full /raw@b']);
    expect(result.ok && result.refused?.map(({ dataset: of, error }) => [of, error.code])).toEqual([
      ['t/c/gap/raw', 'KEY_REQUIRED'],
      ['t/c/plain', 'KEY_REQUIRED'],
      ['t/c/plain/raw', 'KEY_REQUIRED'],
    ]);
    // once the key of the arrived dataset is loaded, the rest continues
    const there = [
      dataset('p/enc', '', open),
      dataset('p/enc/c', '@a,1 @b,2', open),
      dataset('p/enc/c/raw', '@b,6', locked),
    ];
    const rest = sent(tree, there, 'p/enc/c', asked);
    expect(short(rest, 't/c')).toEqual(['full /gap/raw@b', 'full /plain@b', 'full /plain/raw@b']);
    expect(rest).not.toHaveProperty('refused');
  });

  it('the descendants of an existing dataset that is refused for its own key or flags are sent', () => {
    const tree = [dataset('t/c', '@a,1 @b,2'), dataset('t/c/raw', '@b,3', open), dataset('t/c/plain', '@b,4')];
    const [there, asked] = [
      [dataset('p/enc', '', locked), dataset('p/enc/c', '@a,1', locked)],
      { package: 'replication' } as const,
    ];
    expect(steps(tree, there, 'p/enc/c', asked)).toEqual(['full /raw@b']);
    const begunRaw = dataset('p/c', '@a,1', { ...open, stream: `${tree[0]?.guid}:large-block` });
    const noLarge = { ...asked, stream: { largeBlock: false } };
    expect(steps(tree.slice(0, 2), [begunRaw], 'p/c', noLarge)).toBe('BAD_REQUEST');
    const two = [tree[0] ?? dataset('t/c', ''), dataset('t/c/plain', '@b,4')];
    expect(steps(two, [begunRaw], 'p/c', noLarge)).toEqual(['full /plain@b']);
    // a diverged dataset may be anything, and no dataset is created below it
    expect(steps(two, [dataset('p/c', '@x,9')], 'p/c', asked)).toBe('DIVERGED');
  });

  it('edge case 29: no embedded data is received, and a package is sent without datasets that have some (openzfs#10732)', () => {
    const asked = { stream: { embed: true } };
    const enc = dataset('p/enc', '', open);
    for (const there of [[enc], [enc, dataset('p/enc/c', '@a,1', open)]]) {
      const result = sent(source, there, 'p/enc/c', asked);
      expect(result).toMatchObject({ ok: false, error: { code: 'UNSUPPORTED', details: { dataset: 'p/enc/c' } } });
      expect(!result.ok && result.error.message).toEqual(mentions('p/enc/c', 'dst', 't/c', '--embed'));
      expect(Array.isArray(steps(source, there, 'p/enc/c'))).toBe(true);
    }
    expect(steps(source, [enc], 'p/enc/m/c', asked)).toBe('UNSUPPORTED');
    expect(steps(source, [dataset('p/clear', '')], 'p/clear/c', asked)).toEqual(['full @a', '@a -> @b']);
    const encrypted = [dataset('t/c', '@a,1', open)];
    expect(steps(encrypted, [enc], 'p/enc/c', { stream: { embed: true, raw: false } })).toEqual(['full @a']);
    const tree = [...encrypted, dataset('t/c/own', '@b,2', open), dataset('t/c/plain', '@c,3')];
    const part = sent(tree, [enc, dataset('p/enc/c', '@a,1', open)], 'p/enc/c', { ...asked, package: 'replication' });
    expect(short(part, 't/c')).toEqual(['full /own@b']);
    expect(part).toMatchObject({ refused: [{ dataset: 't/c/plain', error: { code: 'UNSUPPORTED' } }] });
  });

  it('an existing dataset needs the key too: not every release refuses to write without it (openzfs#14055)', () => {
    const target = [dataset('p/enc', '', locked), dataset('p/enc/c', '@a,1', locked)];
    expect(steps(source, target, 'p/enc/c')).toBe('KEY_REQUIRED');
    expect(steps(source, [dataset('p/enc', '', locked), dataset('p/enc/c', '@b,2', locked)], 'p/enc/c')).toEqual([]);
  });

  it('only raw streams can be read at a source whose key is not loaded', () => {
    const sealed = [dataset('t/c', '@a,1 @b,2', locked)];
    const asked = { stream: { raw: false } };
    expect(steps(sealed, [dataset('p/enc', '', open)], 'p/enc/c', asked)).toBe('KEY_REQUIRED');
  });

  it('a raw dataset is created, but no parent for it', () => {
    const encrypted = [dataset('t/c', '@a,1 @b,2', locked)];
    expect(steps(encrypted, [dataset('p/enc', '', locked)], 'p/enc/c')).toEqual(['full @a', '@a -> @b']);
    expect(steps(encrypted, [dataset('p/enc', '', locked)], 'p/enc/m/c')).toBe('KEY_REQUIRED');
  });

  it('no plain dataset is created below one that has just arrived raw', () => {
    const tree = [dataset('t/c', '@a,1', open), dataset('t/c/plain', '@b,2')];
    expect(steps(tree, [], 'p/c', { package: 'replication' })).toEqual(['full @a']);
  });

  it('whose key is loaded, encrypted and unencrypted datasets are created', () => {
    const target = [dataset('p/enc', '', open)];
    const encrypted = [dataset('t/c', '@a,1 @b,2', open)];
    for (const from of [source, encrypted])
      for (const to of ['p/enc/c', 'p/enc/m/c']) expect(steps(from, target, to)).toEqual(['full @a', '@a -> @b']);
  });

  it('the nearest dataset decides', () => {
    const target = [dataset('p/enc', '', locked), dataset('p/enc/own', '', open)];
    expect(steps(source, target, 'p/enc/own/c')).toEqual(['full @a', '@a -> @b']);
  });
});

describe('an encrypted dataset of the source', () => {
  const origin = { name: 't/o@a', guid: '1' };
  const clone = dataset('t/c', '@b,2', { ...open, origin });
  const [clear, safe] = [dataset('p/clear', '@a,1'), dataset('p/safe', '@a,1', open)];
  const enc = dataset('p/enc', '', open);

  it('edge case 11: is not made a clone of an unencrypted one, in any dataset; the fix is to send it whole', () => {
    const result = sent([clone], [clear, enc], 'p/enc/c');
    expect(result).toMatchObject({ ok: false, error: { code: 'UNSUPPORTED', details: { origin: 'p/clear@a' } } });
    expect(!result.ok && result.error.message).toEqual(mentions('t/c', 'src', 'p/clear@a', 'dst', '-c'));
    expect(steps([clone], [clear, enc], 'p/enc/c', { selfContained: true })).toEqual(['full @b']);
  });

  it('may be a clone of an encrypted one, and then has its key', () => {
    expect(steps([clone], [safe, enc], 'p/enc/c')).toEqual(['t/o@a -> @b']);
    expect(steps([clone], [safe], 'p/c')).toEqual(['t/o@a -> @b']);
    const shut = dataset('p/safe', '@a,1', locked);
    expect(steps([clone], [shut, enc], 'p/enc/c')).toEqual(['t/o@a -> @b']);
    expect(steps([dataset('t/c', '@b,2', { origin })], [shut, enc], 'p/enc/c')).toBe('KEY_REQUIRED');
  });

  it('is not made a clone of an unencrypted one in a package either', () => {
    const inside = { ...open, origin: { name: 't/c/o@a', guid: '1' } };
    const source = [dataset('t/c', '@s,9', open), dataset('t/c/o', '@a,1', open), dataset('t/c/x', '@b,2', inside)];
    const target = [dataset('p/enc', '@s,9', open), dataset('p/enc/o', '@a,1')];
    const result = sent(source, target, 'p/enc', { package: 'replication' });
    expect(result).toMatchObject({
      ok: true,
      steps: [],
      refused: [{ dataset: 't/c/x', error: { code: 'UNSUPPORTED' } }],
    });
  });

  it('is created raw below a new clone of an unencrypted one', () => {
    const source = [dataset('t/c', '@b,2', { origin }), dataset('t/c/x', '@b,3', open)];
    expect(steps(source, [clear, enc], 'p/enc/c', { package: 'replication' })).toEqual(['t/o@a -> @b', 'full /x@b']);
    expect(steps(source, [safe, enc], 'p/enc/c', { package: 'replication' })).toEqual(['t/o@a -> @b', 'full /x@b']);
  });

  it('is not continued as a clone if an interrupted receive has left the clone unencrypted', () => {
    const left = dataset('p/c', '', { resumeToken: '1-abc-def' });
    const result = sent([clone], [clear, left], 'p/c');
    expect(result).toMatchObject({ ok: false, error: { code: 'UNSUPPORTED', details: { dataset: 'p/c' } } });
    expect(!result.ok && result.error.message).toEqual(mentions('zfs receive -A p/c'));
    expect(steps([clone], [clear, left], 'p/c', { stream: { raw: false } })).toEqual(['t/o@a -> @b']);
  });

  it('continues unencrypted if the target has it unencrypted', () => {
    expect(steps([dataset('t/c', '@a,1 @b,2', open)], [dataset('p/c', '@a,1')], 'p/c')).toEqual(['@a -> @b']);
  });
});
