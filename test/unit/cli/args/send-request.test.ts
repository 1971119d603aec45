import { describe, expect, it } from 'vitest';
import type { SendOptions } from '../../../../cli/args/send-options.ts';
import { askedFor } from '../../../../cli/args/send-request.ts';
import { ZpsendError } from '../../../../schemas/errors.ts';
import { type SendRequest, sendRequestSchema } from '../../../../schemas/plan.ts';
import { mentions } from '../../../support/mentions.ts';

const here = 'smos-01';

/** The request for smos-00:backup, without its target. */
function requested(source: string, options: SendOptions): Partial<SendRequest> {
  const [request] = askedFor(source, ['smos-00:backup'], options, here).requests;
  const { to: _, ...rest } = sendRequestSchema.parse(request);
  return rest;
}

const refusal = (source: string, targets: string[], options: SendOptions): string => {
  try {
    return `accepted ${JSON.stringify(askedFor(source, targets, options, here))}`;
  } catch (thrown) {
    const { code, message } = ZpsendError.from(thrown);
    return `${code}: ${message}`;
  }
};

describe('what send and plan are asked for', () => {
  it('is one request for each target', () => {
    expect(askedFor('zones/test@b', ['smos-00', 'dr-1:backup/t'], { from: 'zones/test@a' }, here)).toEqual({
      host: here,
      requests: [
        { dataset: 'zones/test@b', to: { host: 'smos-00' }, from: '@a' },
        { dataset: 'zones/test@b', to: { host: 'dr-1', dataset: 'backup/t' }, from: '@a' },
      ],
    });
  });

  it.each<[string, string, SendOptions, Partial<SendRequest>]>([
    ['--full', 'pool/b@send', { full: true }, { full: true }],
    ['--conflict', 'pool/b', { conflict: 'rotate' }, { conflict: 'rotate' }],
    ['-R', 'pool/b@send', { replicate: true }, { package: 'replication' }],
    ['-R of all snapshots', 'pool/b', { replicate: true }, { package: 'replication' }],
    ['-Rc', 'pool/b@s', { replicate: true, selfContained: true }, { package: 'replication', selfContained: true }],
    ['-r', 'pool/b@send', { recursive: true }, { package: 'recursive' }],
    ['-rc', 'pool/b@s', { recursive: true, selfContained: true }, { package: 'recursive', selfContained: true }],
    ['-c of one dataset', 'pool/b', { selfContained: true }, { selfContained: true }],
    ['--skip-missing', 'pool/b@s', { recursive: true, skipMissing: true }, { package: 'recursive', skipMissing: true }],
    [
      '--exclude, again and again',
      'pool/b',
      { replicate: true, exclude: ['*/tmp', 'pool/b/**/x?'] },
      { package: 'replication', exclude: ['*/tmp', 'pool/b/**/x?'] },
    ],
    ['--snapshots', 'pool/b', { snapshots: ['hourly-*'] }, { snapshots: ['hourly-*'] }],
    ['--compress', 'pool/b', { compression: 'auto' }, { compression: 'auto' }],
    [
      '-o, -x and --include-property',
      'pool/b',
      { set: ['a:b=c=d', 'atime=off'], excludeProperty: ['exec'], includeProperty: ['mountpoint'] },
      { properties: { set: { 'a:b': 'c=d', atime: 'off' }, exclude: ['exec'], include: ['mountpoint'] } },
    ],
    ['--bwlimit', 'pool/b', { bwlimit: '1.5M' }, { bwlimit: 1_572_864 }],
    ['--bwlimit in bytes', 'pool/b', { bwlimit: '4096' }, { bwlimit: 4096 }],
    ['--bwlimit in small letters', 'pool/b', { bwlimit: '2g' }, { bwlimit: 2 * 1024 ** 3 }],
    ['--raw', 'pool/b', { raw: true }, { stream: { raw: true } }],
    [
      'flags of streams, either way',
      'pool/b',
      { raw: false, largeBlock: false, embed: true, compressed: false, props: true },
      { stream: { raw: false, largeBlock: false, embed: true, compressed: false, props: true } },
    ],
    ['--parallel', 'pool/b', { replicate: true, parallel: '16' }, { package: 'replication', parallel: 16 }],
  ])('says %s', (_, source, options, request) => {
    expect(requested(source, options)).toEqual({ dataset: source, ...request });
  });

  it.each([
    [{}, undefined],
    [{ appendPath: true }, 'path'],
    [{ appendLast: true }, 'last'],
  ] as const)('appends to the target as %j has it', (options, append) => {
    const to = { host: 'smos-00', dataset: 'backup', ...(append && { append }) };
    expect(askedFor('zones/vm', ['smos-00:backup'], options, here).requests[0]?.to).toEqual(to);
  });

  it.each<[string, string, SendOptions, (string | number)[]]>([
    ['--raw that cannot be', 'zones/test', { raw: true, embed: false }, ['--raw', '--no-embed']],
    ['-i with --full', 'zones/test@b', { from: '@a', full: true }, ['--full', '-i @a']],
    ['-i without a goal', 'zones/test', { from: '@a' }, ['-i @a', 'zones/test@snapshot']],
    ['--full of nothing', 'zones/test', { full: true }, ['--full', 'zones/test@snapshot']],
    ['-R with -r', 'zones/test@b', { replicate: true, recursive: true }, ['-R', '-r']],
    ['-R with -i', 'zones/test@b', { replicate: true, from: '@a' }, ['-i @a', '-R']],
    ['-r with --full', 'zones/test@b', { recursive: true, full: true }, ['--full', '-r']],
    ['-r without a snapshot', 'zones/test', { recursive: true }, ['-r', 'zones/test@snapshot', '-R']],
    ['--skip-missing alone', 'zones/test@b', { skipMissing: true }, ['--skip-missing', '-R', '-r']],
    ['--skip-missing of no name', 'zones/test', { replicate: true, skipMissing: true }, ['--skip-missing', '-R', '-r']],
    ['--exclude alone', 'zones/test', { exclude: ['*'] }, ['--exclude', '-R', '-r']],
    ['--snapshots with -i', 'zones/test@b', { from: '@a', snapshots: ['*'] }, ['--snapshots', '-i @a']],
    ['--snapshots with --full', 'zones/test@b', { full: true, snapshots: ['*'] }, ['--snapshots', '--full']],
    ['--snapshots with -r', 'zones/test@b', { recursive: true, snapshots: ['*'] }, ['--snapshots', '-r']],
    ['-c with -i', 'zones/test@b', { from: '@a', selfContained: true }, ['-c', '-i']],
    ['-d with -e', 'zones/test', { appendPath: true, appendLast: true }, ['-d', '-e']],
    ['a pattern that is none', 'zones', { replicate: true, exclude: ['*', 'a;b'] }, ['--exclude "a;b"']],
    ['an empty pattern', 'zones', { snapshots: [''] }, ['--snapshots ""']],
    ['too many patterns', 'zones', { snapshots: Array(33).fill('*') }, ['--snapshots', '<=32']],
    ['--compress of another kind', 'zones', { compression: 'gzip' }, ['--compress gzip', 'auto', 'zstd', 'none']],
    ['-o without a value', 'zones', { set: ['atime'] }, ['-o atime', 'property=value']],
    ['-o of no property', 'zones', { set: ['a b=c'] }, ['a b']],
    ['-o of the origin', 'zones', { set: ['origin=zones/x@1'] }, ['origin']],
    ['-o twice', 'zones', { set: ['atime=on', 'atime=off'] }, ['atime']],
    ['-o and -x', 'zones', { set: ['exec=on'], excludeProperty: ['exec'] }, ['exec']],
    ['--bwlimit of too little', 'zones', { bwlimit: '1000' }, ['--bwlimit 1000', '1K']],
    ['--conflict of no policy', 'zones', { conflict: 'force' }, ['--conflict force', 'refuse', 'rollback', 'rotate']],
    ['--bwlimit of no number', 'zones', { bwlimit: 'fast' }, ['--bwlimit fast', '1K']],
    ['--bwlimit of too much', 'zones', { bwlimit: '9999999999999T' }, ['--bwlimit 9999999999999T', '1K']],
    ['--parallel 0', 'zones', { replicate: true, parallel: '0' }, ['--parallel 0', 1, 16]],
    ['--parallel 17', 'zones', { replicate: true, parallel: '17' }, ['--parallel 17', 1, 16]],
    ['--parallel of no number', 'zones', { replicate: true, parallel: '4x' }, ['--parallel 4x', 1, 16]],
  ])('is refused for %s', (_, source, options, facts) => {
    const said = refusal(source, ['smos-00:backup'], options);
    expect(said).toEqual(mentions('BAD_REQUEST', ...facts));
  });

  it('is refused for -d or -e without a dataset to append to', () => {
    expect(refusal('zones', ['dr-1:b', 'smos-00'], { appendPath: true })).toEqual(
      mentions('-d', 'smos-00:pool/backup'),
    );
    expect(refusal('zones', ['smos-00'], { appendLast: true })).toEqual(mentions('-e', 'smos-00:pool/backup'));
  });

  it.each<[string[], SendOptions, string[]]>([
    [['smos-00', 'dr-1', 'smos-00'], {}, ['zones/test', 'smos-00']],
    [['smos-00', 'smos-00:zones/test'], {}, ['smos-00:zones/test', 'zones/test', 'smos-00']],
    [['smos-00:b', 'dr-1:b/c', 'smos-00:b/c'], { replicate: true }, ['b/c', 'smos-00', 'b']],
    [['smos-00:b', 'smos-00:b'], { appendLast: true }, ['smos-00:b', 'b/test', 'smos-00']],
  ])('is refused for a target given twice: %j', (targets, options, facts) => {
    expect(refusal('zones/test', targets, options)).toEqual(mentions('BAD_REQUEST', ...facts));
  });

  it('takes two places on one host for two', () => {
    const options = { replicate: true, appendPath: true } as const;
    expect(askedFor('zones/test', ['smos-00:a', 'smos-00:b'], options, here).requests).toHaveLength(2);
  });

  it('is refused where a dataset of this host would be sent into itself', () => {
    expect(refusal('zones/test', [':zones/test/copy'], {})).toEqual(mentions('zones/test', 'zones/test/copy'));
    expect(refusal('zones/test', [':zones'], { appendPath: true })).toEqual(
      mentions('BAD_REQUEST', 'zones/test', here),
    );
  });
});
