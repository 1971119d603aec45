import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  decodeDataset,
  encodeDataset,
  keySubject,
  lockKey,
  parseEvent,
  parseKeySubject,
  parseLockKey,
  parsePolicyKey,
  parseStatusKey,
  statusKey,
  subjects,
} from '../../../../lib/bus/subjects.ts';
import { datasetSchema } from '../../../../schemas/names.ts';
import { datasetNames, hostNames } from '../plan/legal-names.ts';

describe('a dataset name as one token of a KV key', () => {
  test('decodes to the same name, for every name that ZFS allows', () => {
    fc.assert(
      fc.property(datasetNames, (name) => {
        expect(datasetSchema.safeParse(name).success).toBe(true);
        expect(decodeDataset(encodeDataset(name))).toBe(name);
      }),
    );
  });

  test('contains only characters that a key allows, and no token separator', () => {
    fc.assert(
      fc.property(datasetNames, (name) => {
        expect(encodeDataset(name)).toMatch(/^[-/=_A-Za-z0-9]+$/);
      }),
    );
  });

  test('is never the token of another dataset', () => {
    const near = fc
      .tuple(datasetNames, fc.constantFrom('=2E', '=', '.', ' ', ':', '%', '_', '/='))
      .chain(([name, by]) =>
        fc.nat(name.length).map((at) => [name, name.slice(0, at) + by + name.slice(at + 1)] as const),
      );
    fc.assert(
      fc.property(near, ([one, other]) => {
        expect(encodeDataset(one) === encodeDataset(other)).toBe(one === other);
      }),
    );
    fc.assert(
      fc.property(datasetNames, datasetNames, (one, other) => {
        expect(encodeDataset(one) === encodeDataset(other)).toBe(one === other);
      }),
    );
  });

  test.each([
    ['zones/test', 'zones/test'],
    ['tank/a.b', 'tank/a=2Eb'],
    ['tank/my data:1', 'tank/my=20data=3A1'],
  ])('%s is %s', (name, token) => expect(encodeDataset(name)).toBe(token));

  test('decodes to the same name also for names that ZFS refuses', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        const token = encodeDataset(text);
        expect(token).toMatch(/^[-/=_A-Za-z0-9]*$/);
        expect(decodeDataset(token)).toBe(text.toWellFormed());
      }),
    );
  });
});

describe('the key of a lock', () => {
  test('parses to its host and dataset', () => {
    fc.assert(
      fc.property(hostNames, datasetNames, (host, dataset) => {
        expect(lockKey(host, dataset)).toMatch(/^[-/=.\w]+$/);
        expect(parseLockKey(lockKey(host, dataset))).toEqual({ host, dataset });
      }),
    );
  });

  test.each([
    '',
    '.',
    'smos-00',
    'smos-00.',
    '.zones',
    'smos-00.tank.a',
    'smos-00.tank=zz',
    'smos-00.tank=2',
    'smos-00.tank=61',
  ])('%j is not one', (key) => expect(parseLockKey(key)).toBeUndefined());
});

describe('the key of a status', () => {
  const places = fc.record({ source: hostNames, dataset: datasetNames, target: hostNames, into: datasetNames });
  const same = places.map((place) => ({ ...place, into: place.dataset }));

  test('parses to its source, dataset, target and target dataset', () => {
    fc.assert(
      fc.property(fc.oneof(places, same), (place) => {
        expect(statusKey(place)).toMatch(/^[-/=.\w]+$/);
        expect(parseStatusKey(statusKey(place))).toEqual(place);
      }),
    );
  });

  test('differs for every source, dataset and target', () => {
    fc.assert(
      fc.property(fc.oneof(places, same), fc.oneof(places, same), (one, other) => {
        const isSame = Object.entries(one).every(([name, value]) => other[name as keyof typeof other] === value);
        expect(statusKey(one) === statusKey(other)).toBe(isSame);
      }),
    );
  });

  test.each([
    [{ into: 'zones/test' }, 'smos-01.to.smos-00.zones/test'],
    [{ into: 'tank/a.b' }, 'smos-01.to.smos-00.zones/test.tank/a=2Eb'],
  ])('with %j is %s', (into, key) => {
    expect(statusKey({ source: 'smos-01', dataset: 'zones/test', target: 'smos-00', ...into })).toBe(key);
  });

  test.each([
    '',
    'smos-01.to.smos-00',
    'smos-01.to.smos-00.',
    'smos-01.to..zones',
    '.to.smos-00.zones',
    'smos-01.delivered.smos-00.zones',
    'smos-01.to.smos-00.zones.zones',
    'smos-01.to.smos-00.zones.tank.more',
    'smos-01.to.smos-00.zones=zz',
  ])('%j is not one', (key) => expect(parseStatusKey(key)).toBeUndefined());

  test('can be parsed from the subject of its entry', () => {
    expect(parseKeySubject('zfs-status', keySubject('zfs-status', 'a.to.b.c'))).toBe('a.to.b.c');
    expect(parseKeySubject('zfs-status', keySubject('zfs-statuses', 'a'))).toBeUndefined();
  });
});

describe('the subject of an event', () => {
  test.each(['started', 'progress', 'done', 'failed'] as const)('%s parses to its host and kind', (what) => {
    expect(parseEvent(subjects.event('smos-00', 'job', what))).toEqual({ host: 'smos-00', kind: 'job', what });
  });

  test.each([
    '',
    'zfs',
    'zfs.smos-00.event.job',
    'zfs.smos-00.event.job.done.more',
    'zfs..event.job.done',
    'zfs.smos-00.event..done',
    'zfs.smos-00.recv.job.done',
    'zfs-data.smos-00.event.job.done',
  ])('%j is not one', (subject) => expect(parseEvent(subject)).toBeUndefined());
});

test('the subject of an instance never equals that of all instances', () => {
  const start = subjects.send('smos-00', 'start');
  expect(start).toBe('zfs.smos-00.send.start');
  expect(subjects.instance(start, 'abc123')).toBe('zfs.smos-00.send.start.abc123');
  expect(subjects.each(start)).toBe('zfs.smos-00.send.start.each');
});

test('the data subject of a transfer starts with the host that may publish on it', () => {
  expect(subjects.data('smos-01', 'smos-00', 't1')).toBe('zfs-data.smos-01.smos-00.t1');
  expect(subjects.credit('smos-01', 't1', 'smos-00')).toBe('zfs-credit.smos-01.t1.smos-00');
});

test.each([
  ['smos-01.vm', { host: 'smos-01', name: 'vm' }],
  ['smos-01.vm.daily', { host: 'smos-01', name: 'vm.daily' }],
  ['vm', undefined],
  ['.vm', undefined],
  ['smos-01.', undefined],
  ['smos 01.vm', undefined],
])('the key of a policy %j', (key, parsed) => expect(parsePolicyKey(key)).toEqual(parsed));
