import { describe, expect, test } from 'vitest';
import { ownProperties } from '../../../../../lib/zfs/argv.ts';
import type { ReceiveConfig } from '../../../../../schemas/config.ts';
import { ZpsendError } from '../../../../../schemas/errors.ts';
import type { PropertyWishes } from '../../../../../schemas/properties.ts';
import { type ReceiveStart, receiveStartSchema } from '../../../../../schemas/transfer.ts';
import {
  checkProperties,
  checkType,
  ofThisHost,
  receiveProperties,
} from '../../../../../services/receiver/admission/properties.ts';
import { mentions } from '../../../../support/mentions.ts';

const start = (more: Partial<ReceiveStart> = {}): ReceiveStart =>
  receiveStartSchema.parse({
    protocol: 1,
    transfer: 'transfer1',
    secret: 'A'.repeat(43),
    job: 'jobjob1',
    sourceHost: 'smos-01',
    targetDataset: 'zones/backup/a',
    to: { name: 'zones/a@1', guid: '1' },
    partial: 'resume',
    ...more,
  });
const asking = (properties: PropertyWishes, more: Partial<ReceiveStart> = {}) => start({ properties, ...more });

const configured: ReceiveConfig['properties'] = { set: { readonly: 'on' }, exclude: ['quota'] };
const allowing = (...properties: string[]) => ({
  allow: [{ from: 'smos-01', into: 'zones/backup', properties, conflicts: [] }],
  properties: configured,
});

function refusal(asked: ReceiveStart, config: Parameters<typeof checkProperties>[2]): ZpsendError | undefined {
  try {
    checkProperties(asked, 'smos-00', config);
    return undefined;
  } catch (error) {
    return ZpsendError.from(error);
  }
}

describe('the properties that a request may decide', () => {
  test.each<[string, PropertyWishes, string[]]>([
    ['nothing', {}, []],
    ['exclude a property that the receiver does not set', { exclude: ['compression', 'a:b'] }, []],
    ['set a property to the receiver’s own value', { set: { readonly: 'on' } }, []],
    ['set something', { set: { compression: 'lz4' } }, ['compression']],
    ['set a property to another value than the receiver', { set: { readonly: 'off' } }, ['readonly']],
    ['exclude a property that the receiver sets', { exclude: ['readonly'] }, ['readonly']],
    ['let the stream decide a mountpoint', { include: ['mountpoint'] }, ['mountpoint']],
    ['several things', { set: { exec: 'on', 'a:b': 'c' }, include: ['canmount'] }, ['exec', 'a:b', 'canmount']],
  ])('without a permission: %s', (_what, wishes, names) => {
    const error = refusal(asking(wishes), allowing());
    expect(error?.details?.properties ?? []).toEqual(names);
    if (names.length > 0) {
      expect(error).toMatchObject({ code: 'NOT_ALLOWED' });
      expect(error?.message).toEqual(mentions(`properties: [${names.map((name) => JSON.stringify(name)).join(', ')}]`));
    }
    expect(refusal(asking(wishes), allowing(...names))).toBeUndefined();
  });

  test('patterns allow groups of names, and no others', () => {
    expect(refusal(asking({ set: { 'com.acme:a': '1', 'com.acme:b': '2' } }), allowing('com.acme:*'))).toBeUndefined();
    expect(refusal(asking({ set: { 'com.acme': '1' } }), allowing('com.acme:*'))).toBeDefined();
    expect(refusal(asking({ set: { canmount: 'on' } }), allowing('mount*'))).toBeDefined();
    expect(refusal(asking({ set: { canmount: 'on' } }), allowing('*'))).toBeUndefined();
  });

  test('a permission counts for its own source and dataset', () => {
    const leave = { properties: ['exec'] };
    const exec = asking({ set: { exec: 'on' } });
    const under = (from: string, into: string) =>
      refusal(exec, { allow: [{ from, into, conflicts: [], ...leave }], properties: configured });
    expect(under('smos-01', 'zones')).toBeUndefined();
    expect(under('*', 'zones/backup/a')).toBeUndefined();
    expect(under('smos-02', 'zones')).toMatchObject({ code: 'NOT_ALLOWED' });
    expect(under('smos-01', 'zones/backup/ab')).toMatchObject({ code: 'NOT_ALLOWED' });
  });

  test('a property that is both set and excluded is a bad request', () => {
    const wishes = { set: { exec: 'on' }, exclude: ['exec'] };
    expect(refusal(asking(wishes), allowing('*'))).toMatchObject({ code: 'BAD_REQUEST' });
  });

  test.each([
    ['the origin is not allowed: it decides the clone', 'origin'],
    ['zpsend’s own properties are not allowed', 'zpsend:stream'],
    ['zpsend’s own properties in capitals are not allowed', 'ZPSEND:rollback'],
  ])('%s', (_, name) => {
    for (const wishes of [{ set: { [name]: 'zones/secret@x' } }, { exclude: [name] }, { include: [name] }]) {
      expect(receiveStartSchema.safeParse({ ...start(), properties: wishes }).success).toBe(false);
    }
  });
});

describe('the options of zfs receive', () => {
  const left = [...ofThisHost, ...ownProperties];
  const told = (asked: ReceiveStart, type?: 'filesystem' | 'volume') => receiveProperties(asked, type, configured);

  test('without a request they come from the configuration, and exclude the properties that this host decides', () => {
    expect(told(start())).toEqual({ set: { readonly: 'on' }, exclude: [...left, 'quota'] });
  });

  test('the request’s values come first', () => {
    const wishes = { set: { readonly: 'off', compression: 'lz4' }, exclude: ['atime'], include: ['canmount', 'quota'] };
    expect(told(asking(wishes))).toEqual({
      set: { readonly: 'off', compression: 'lz4' },
      exclude: [...left.filter((name) => name !== 'canmount'), 'atime'],
    });
  });

  test('a stream never decides zpsend’s own properties', () => {
    const { set, exclude } = told(start({ record: '7:raw' }));
    expect(set).toMatchObject({ 'zpsend:stream': '7:raw' });
    expect(exclude.filter((name) => name.startsWith('zpsend:'))).toEqual(['zpsend:rollback', 'zpsend:placeholder']);
    expect(told(start()).exclude).toEqual(expect.arrayContaining([...ownProperties]));
  });

  test('no property is both set and excluded, which zfs refuses', () => {
    const { set, exclude } = told(asking({ set: { mountpoint: 'none', quota: '1G' } }));
    expect(Object.keys(set)).toEqual(['readonly', 'mountpoint', 'quota']);
    expect(exclude.filter((name) => name in set)).toEqual([]);
  });

  test('a property that the request excludes is not set', () => {
    expect(told(asking({ exclude: ['readonly'] }))).toEqual({ set: {}, exclude: [...left, 'quota', 'readonly'] });
  });

  test('of a volume exclude, and do not set, properties that do not fit a volume', () => {
    const properties = { set: { readonly: 'on', mountpoint: 'none', atime: 'off', volmode: 'none' }, exclude: [] };
    expect(receiveProperties(start({ volume: true }), undefined, properties)).toEqual({
      set: { readonly: 'on', volmode: 'none' },
      exclude: left.filter((name) => name !== 'mountpoint'),
    });
    expect(receiveProperties(start(), undefined, { set: { volsize: '1G', atime: 'off' }, exclude: [] }).set).toEqual({
      atime: 'off',
    });
  });

  test('the type of an existing dataset counts, not the announced one', () => {
    const properties = { set: { setuid: 'off' }, exclude: [] };
    expect(receiveProperties(start({ volume: true }), 'filesystem', properties).set).toEqual({ setuid: 'off' });
    expect(receiveProperties(start(), 'volume', properties).set).toEqual({});
  });
});

test('a filesystem that was announced as a volume is not verified', () => {
  const [dataset, volume] = ['zones/backup/a', true as const];
  const check = (more: Partial<ReceiveStart>, type: 'filesystem' | 'volume') =>
    checkType(start(more), 'smos-00', [{ name: dataset, type }]);
  expect(() => check({ volume }, 'filesystem')).toThrow(
    expect.objectContaining({ code: 'BAD_REQUEST', details: { dataset, source: 'smos-01' } }),
  );
  expect(() => check({ volume }, 'volume')).not.toThrow();
  expect(() => check({}, 'filesystem')).not.toThrow();
});

test('the initial flags of a chain are stored at every dataset that it creates', () => {
  for (const volume of [undefined, true] as const) {
    const { set } = receiveProperties(start({ record: '7:raw', ...(volume && { volume }) }), undefined, configured);
    expect(set).toEqual({ readonly: 'on', 'zpsend:stream': '7:raw' });
  }
});

test('a plain stream with properties that creates a dataset excludes the source’s encryption; other streams do not', () => {
  const excluded = (more: Partial<ReceiveStart>) => receiveProperties(start(more), undefined, configured).exclude;
  expect(excluded({ props: true })).toContain('encryption');
  for (const more of [{}, { raw: true, props: true }, { props: true, from: { guid: '1' } }])
    expect(excluded(more)).not.toContain('encryption');
});
