import { describe, expect, it } from 'vitest';
import { plan } from '../../lib/plan/plan.ts';
import type { DatasetEntry } from '../../schemas/inventory.ts';
import type { Plan, SendRequest } from '../../schemas/plan.ts';
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

  it.each(['p/enc/c', 'p/enc/m/c'])('whose key is not loaded, nothing new can be made: %s', (to) => {
    const result = sent(source, [dataset('p/enc', '', locked)], to);
    expect(result).toMatchObject({ ok: false, error: { code: 'KEY_REQUIRED', details: { above: 'p/enc' } } });
    const made = to === 'p/enc/c' ? to : 'p/enc/m';
    expect(!result.ok && result.error.message).toBe(
      `${made} would have to be made on dst, and the key of p/enc above it is not loaded there: zfs load-key -r p/enc`,
    );
  });

  it('whose key is not loaded, a package is refused before anything of it is sent', () => {
    const tree = [...source, dataset('t/c/d', '@b,3'), dataset('t/c/d/new', '@b,4')];
    const target = [dataset('p/c', '@a,1'), dataset('p/c/d', '@b,3', locked)];
    expect(steps(tree, target, 'p/c', { package: 'replication' })).toBe('KEY_REQUIRED');
  });

  it('what exists there goes on: zfs itself says what it needs', () => {
    const target = [dataset('p/enc', '', locked), dataset('p/enc/c', '@a,1', locked)];
    expect(steps(source, target, 'p/enc/c')).toEqual(['@a -> @b']);
  });

  it('whose key is loaded, all is made, what is encrypted and what is not', () => {
    const target = [dataset('p/enc', '', open)];
    const encrypted = [dataset('t/c', '@a,1 @b,2', open)];
    for (const from of [source, encrypted])
      for (const to of ['p/enc/c', 'p/enc/m/c']) expect(steps(from, target, to)).toEqual(['full @a', '@a -> @b']);
  });

  it('the nearest decides', () => {
    const target = [dataset('p/enc', '', locked), dataset('p/enc/own', '', open)];
    expect(steps(source, target, 'p/enc/own/c')).toEqual(['full @a', '@a -> @b']);
  });
});
