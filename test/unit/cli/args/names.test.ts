import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseBase, parseLocation, parseSource, parseTarget } from '../../../../cli/args/names.ts';
import { mentions } from '../../../support/mentions.ts';

const here = 'smos-01';
const outcomeOf = (parse: () => unknown): string => {
  try {
    return `accepted ${JSON.stringify(parse())}`;
  } catch (error) {
    return error instanceof Error && 'code' in error ? `${error.code}: ${error.message}` : String(error);
  }
};

describe('a source', () => {
  it.each([
    ['zones/test', here, 'zones/test'],
    ['zones', here, 'zones'],
    ['zones/test@now', here, 'zones/test@now'],
    ['smos-00:zones/test@now', 'smos-00', 'zones/test@now'],
    ['smos-00:zones', 'smos-00', 'zones'],
    ['zones/a:b', here, 'zones/a:b'],
    ['zones/test@2024:01:02', here, 'zones/test@2024:01:02'],
    ['zones@2024:01', here, 'zones@2024:01'],
    ['smos-00:my:pool/data', 'smos-00', 'my:pool/data'],
    [':my:pool/data', here, 'my:pool/data'],
    [':zones/test', here, 'zones/test'],
    ['zones/my data@a b', here, 'zones/my data@a b'],
    ['smos-00:zones/my data', 'smos-00', 'zones/my data'],
  ])('%s is on %s: %s', (text, host, dataset) => {
    expect(parseSource(text, here)).toEqual({ host, dataset });
  });

  it.each([
    ['', ['pool/dataset']],
    ['smos-00:', ['smos-00:pool/dataset']],
    ['my pool:x/y', ['":my pool:x/y"']],
    ['smos-00.example.org:zones/test', ['smos-00-example-org']],
    ['-rf', ['"-rf"']],
    ['smos-00:-rf', ['"-rf"']],
    ['zones/../etc', ['"zones/../etc"']],
    ['smos-00:/mnt/tank/x', ['smos-00:mnt/tank/x', 'zfs list -o name /mnt/tank/x']],
    ['/tank/x', ['write tank/x']],
    ['tank/x/', ['"tank/x/"', 'write tank/x']],
    ['smos-00:tank/x/', ['write smos-00:tank/x']],
    ['/', ['"/"']],
    ['ssh://root@smos-00.example.org:22/tank/x', ['smos-00-example-org:tank/x']],
    ['ssh://smos-00/tank/x@now', ['smos-00:tank/x@now']],
    ['root@smos-00:/tank/x/', ['write smos-00:tank/x']],
    ['tank/x@%', ['write tank/x']],
    ['smos-00:tank/x@a%b', ['write smos-00:tank/x@b']],
    ['zones/test@', ['"zones/test@"']],
    ['zones/test;reboot', ['"zones/test;reboot"']],
    ['zones/$(reboot)', ['"zones/$(reboot)"']],
    ['zones/test#bm', ['"zones/test#bm"']],
    [`zones/${'x'.repeat(300)}`, [255]],
  ])('refuses %s', (text, facts) => {
    expect(outcomeOf(() => parseSource(text, here))).toEqual(mentions('BAD_REQUEST', ...facts));
  });

  it('keeps every dataset name if the host is named or empty', () => {
    const names = fc.stringMatching(
      /^[A-Za-z][A-Za-z0-9_: -]{0,8}(\/[A-Za-z0-9_: -]{1,8}){0,3}(@[A-Za-z0-9_: -]{1,8})?$/,
    );
    fc.assert(
      fc.property(fc.constantFrom('', 'smos-00', 'a_b'), names, (host, dataset) => {
        expect(parseSource(`${host}:${dataset}`, here)).toEqual({ host: host || here, dataset });
      }),
      { numRuns: 1000 },
    );
  });
});

it('user@host:dataset is refused, unless it may be a snapshot', () => {
  expect(outcomeOf(() => parseSource('root@smos-00:zones/test', here))).toEqual(
    mentions('BAD_REQUEST', '"root@smos-00:zones/test"', 'ssh'),
  );
  expect(parseSource('root@smos-00:now', here)).toEqual({ host: here, dataset: 'root@smos-00:now' });
});

describe('a target', () => {
  it.each([
    ['smos-00', { host: 'smos-00' }],
    ['smos-00:', { host: 'smos-00' }],
    ['smos-00:zones/backup', { host: 'smos-00', dataset: 'zones/backup' }],
    ['smos-00:zones/a:b', { host: 'smos-00', dataset: 'zones/a:b' }],
    [':zones/backup', { host: here, dataset: 'zones/backup' }],
  ])('%s', (text, target) => {
    expect(parseTarget(text, here)).toEqual(target);
  });

  it.each([
    ['zones/backup', [`${here}:zones/backup`]],
    ['root@smos-00:zones/test', ['ssh', 'smos-00:zones/test']],
    ['root@smos-00', ['write smos-00']],
    ['root@smos-00:/tank/x', ['write smos-00:tank/x']],
    ['ssh://root@smos-00', ['write smos-00']],
    ['nats://hub:4222', ['NATS_URL', 'zpsend hosts']],
    ['smos-00:/zones/backup/', ['write smos-00:zones/backup']],
    ['root@smos-00.example.org:', ['ssh', 'smos-00-example-org']],
    ['smos-00:zones/backup@now', ['"zones/backup@now"']],
    ['smos 00', ['"smos 00"']],
    ['*', ['"*"']],
    ['smos-00.example.org', ['smos-00-example-org']],
  ])('refuses %s', (text, facts) => {
    expect(outcomeOf(() => parseTarget(text, here))).toEqual(mentions('BAD_REQUEST', ...facts));
  });
});

it('a location may be a dataset of this host', () => {
  expect(parseLocation('zones/test', here)).toEqual({ host: here, dataset: 'zones/test' });
  expect(parseLocation('smos-00', here)).toEqual({ host: 'smos-00' });
  expect(parseLocation('smos-00:zones', here)).toEqual({ host: 'smos-00', dataset: 'zones' });
});

describe('a base', () => {
  it.each([
    ['@a', '@a'],
    ['#a', '#a'],
    ['zones/test@a', '@a'],
    ['zones/test#a', '#a'],
  ])('%s', (text, base) => {
    expect(parseBase(text, 'zones/test@b')).toBe(base);
  });

  it.each([
    ['a', ['-i @a']],
    ['zones/other@a', ['zones/test']],
  ])('refuses %s', (text, facts) => {
    expect(outcomeOf(() => parseBase(text, 'zones/test@b'))).toEqual(mentions('BAD_REQUEST', ...facts));
  });
});
