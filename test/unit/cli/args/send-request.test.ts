import { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { type SendOptions, withSendOptions } from '../../../../cli/args/send-options.ts';
import { type Requests, requestsOf } from '../../../../cli/args/send-request.ts';
import { asZpsendError } from '../../../../cli/args/usage-error.ts';
import { type SendRequest, sendRequestSchema } from '../../../../schemas/request.ts';
import { mentions } from '../../../support/mentions.ts';

const here = 'smos-01';

/** The options as commander parses them. */
function optionsOf(argv: readonly string[]): SendOptions {
  const root = new Command('zpsend').exitOverride().configureOutput({ outputError: () => {} });
  const send = withSendOptions(root.command('send')).action(() => {});
  try {
    root.parse(['send', ...argv], { from: 'user' });
  } catch (thrown) {
    throw asZpsendError(thrown, root, ['send']);
  }
  return send.opts();
}

const asked = (source: string, targets: readonly string[], argv: readonly string[]): Requests =>
  requestsOf(source, targets, optionsOf(argv), here);

/** The request for smos-00:backup, without its target. */
function requested(source: string, argv: readonly string[]): Partial<SendRequest> {
  const [request] = asked(source, ['smos-00:backup'], argv).requests;
  const { to: _, ...rest } = sendRequestSchema.parse(request);
  return rest;
}

const refusal = (source: string, targets: string[], argv: readonly string[]): string => {
  try {
    return `accepted ${JSON.stringify(asked(source, targets, argv))}`;
  } catch (thrown) {
    const { code, message } = asZpsendError(thrown, new Command(), []);
    return `${code}: ${message}`;
  }
};

describe('the requests of send and plan', () => {
  it('are one for each target', () => {
    expect(asked('zones/test@b', ['smos-00', 'dr-1:backup/t'], ['-i', 'zones/test@a'])).toMatchObject({
      host: here,
      requests: [
        { dataset: 'zones/test@b', to: { host: 'smos-00' }, from: '@a' },
        { dataset: 'zones/test@b', to: { host: 'dr-1', dataset: 'backup/t' }, from: '@a' },
      ],
    });
  });

  it.each<[string, string, Partial<SendRequest>]>([
    ['--full', 'pool/b@send', { full: true }],
    ['--conflict rotate', 'pool/b', { conflict: 'rotate' }],
    ['-R', 'pool/b@send', { package: 'replication' }],
    ['-R', 'pool/b', { package: 'replication' }],
    ['--replication', 'pool/b', { package: 'replication' }],
    ['-Rc', 'pool/b@s', { package: 'replication', selfContained: true }],
    ['-r', 'pool/b@send', { package: 'recursive' }],
    ['-rc', 'pool/b@s', { package: 'recursive', selfContained: true }],
    ['-c', 'pool/b', { selfContained: true }],
    ['-r --skip-missing', 'pool/b@s', { package: 'recursive', skipMissing: true }],
    [
      '-R --exclude */tmp --exclude pool/b/**/x?',
      'pool/b',
      { package: 'replication', exclude: ['*/tmp', 'pool/b/**/x?'] },
    ],
    ['--snapshots hourly-*', 'pool/b', { snapshots: ['hourly-*'] }],
    ['--compress auto', 'pool/b', { compression: 'auto' }],
    ['--channel store', 'pool/b', { channel: 'store' }],
    [
      '-o a:b=c=d -o atime=off -x exec --include-property mountpoint',
      'pool/b',
      { properties: { set: { 'a:b': 'c=d', atime: 'off' }, exclude: ['exec'], include: ['mountpoint'] } },
    ],
    ['--bwlimit 1.5M', 'pool/b', { bwlimit: 1_572_864 }],
    ['--bwlimit 4096', 'pool/b', { bwlimit: 4096 }],
    ['--bwlimit 2g', 'pool/b', { bwlimit: 2 * 1024 ** 3 }],
    ['--raw', 'pool/b', { stream: { raw: true } }],
    [
      '--no-raw --no-large-block --embed --no-compressed -p',
      'pool/b',
      { stream: { raw: false, largeBlock: false, embed: true, compressed: false, props: true } },
    ],
    ['-R --parallel 16', 'pool/b', { package: 'replication', parallel: 16 }],
  ])('have %s of %s', (argv, source, request) => {
    expect(requested(source, argv.split(' '))).toEqual({ dataset: source, ...request });
  });

  it('have an option for every field that is no part of another option', () => {
    const parts = ['dataset', 'to', 'from', 'package', 'compression', 'stream', 'properties'];
    const known = new Set(withSendOptions(new Command()).options.map((option) => option.attributeName()));
    const missing = Object.keys(sendRequestSchema.shape).filter((field) => !known.has(field) && !parts.includes(field));
    expect(missing).toEqual([]);
  });

  it.each([
    ['', undefined],
    ['-d', 'path'],
    ['-e', 'last'],
  ] as const)('append to the target with %j', (argv, append) => {
    const to = { host: 'smos-00', dataset: 'backup', ...(append && { append }) };
    expect(asked('zones/vm', ['smos-00:backup'], argv ? [argv] : []).requests[0]?.to).toEqual(to);
  });

  it.each<[string, string, string | string[], (string | number)[]]>([
    ['--raw with --no-embed', 'zones/test', '--raw --no-embed', ['--raw', '--no-embed']],
    ['-i with --full', 'zones/test@b', '-i @a --full', ['--full', '-i @a']],
    ['-i without a named snapshot', 'zones/test', '-i @a', ['-i @a', 'zones/test@snapshot']],
    ['--full without a named snapshot', 'zones/test', '--full', ['--full', 'zones/test@snapshot']],
    ['-R with -r', 'zones/test@b', '-Rr', ['-R', '-r', 'zpsend send --help']],
    ['--replication with -r', 'zones/test@b', '--replication -r', ['--replication', '-r']],
    ['-R with -i', 'zones/test@b', '-R -i @a', ['-i @a', '-R']],
    ['-r with --full', 'zones/test@b', '-r --full', ['--full', '-r']],
    ['-r without a snapshot', 'zones/test', '-r', ['-r', 'zones/test@snapshot', '-R']],
    ['--skip-missing alone', 'zones/test@b', '--skip-missing', ['--skip-missing', '-R', '-r']],
    ['--skip-missing without a named snapshot', 'zones/test', '-R --skip-missing', ['--skip-missing', '-R', '-r']],
    ['--exclude alone', 'zones/test', '--exclude *', ['--exclude', '-R', '-r']],
    ['--snapshots with -i', 'zones/test@b', '-i @a --snapshots *', ['--snapshots', '-i @a']],
    ['--snapshots with --full', 'zones/test@b', '--full --snapshots *', ['--snapshots', '--full']],
    ['--snapshots with -r', 'zones/test@b', '-r --snapshots *', ['--snapshots', '-r']],
    ['-c with -i', 'zones/test@b', '-c -i @a', ['-c', '-i']],
    ['-d with -e', 'zones/test', '-d -e', ['-d', '-e', 'zpsend send --help']],
    ['a pattern that is none', 'zones', '-R --exclude * --exclude a;b', ['--exclude', 'a;b']],
    ['an empty pattern', 'zones', ['--snapshots', ''], ['--snapshots', "''"]],
    ['too many patterns', 'zones', Array(33).fill(['--snapshots', '*']).flat(), ['--snapshots', '<=32']],
    ['--compress of another kind', 'zones', '--compress gzip', ['--compress', 'gzip', 'auto', 'zstd', 'none']],
    ['--channel of another kind', 'zones', '--channel tcp', ['--channel', 'tcp', 'direct', 'store', 'auto']],
    ['-o without a value', 'zones', '-o atime', ['-o', 'atime', 'property=value']],
    ['-o of no property', 'zones', ['-o', 'a b=c'], ['-o', 'a b=c']],
    ['-o of the origin', 'zones', '-o origin=zones/x@1', ['-o', 'origin=zones/x@1']],
    ['-o twice', 'zones', '-o atime=on -o atime=off', ['-o', 'atime']],
    ['-x of no property', 'zones', ['-x', 'a b'], ['-x', 'a b']],
    ['-o and -x', 'zones', '-o exec=on -x exec', ['exec']],
    ['--bwlimit of too little', 'zones', '--bwlimit 1000', ['--bwlimit', 1000, '1K']],
    ['--conflict of no policy', 'zones', '--conflict force', ['--conflict', 'force', 'refuse', 'rollback', 'rotate']],
    ['--bwlimit of no number', 'zones', '--bwlimit fast', ['--bwlimit', 'fast', '1K']],
    ['--bwlimit of too much', 'zones', '--bwlimit 9999999999999T', ['--bwlimit', '9999999999999T', '1K']],
    ['--parallel 0', 'zones', '-R --parallel 0', ['--parallel', 0, 1, 16]],
    ['--parallel 17', 'zones', '-R --parallel 17', ['--parallel', 17, 1, 16]],
    ['--parallel of no number', 'zones', '-R --parallel 4x', ['--parallel', '4x', 1, 16]],
  ])('are refused for %s', (_, source, argv, facts) => {
    const outcome = refusal(source, ['smos-00:backup'], typeof argv === 'string' ? argv.split(' ') : argv);
    expect(outcome).toEqual(mentions('BAD_REQUEST', ...facts));
  });

  it('are refused for -d or -e without a dataset to append to', () => {
    expect(refusal('zones', ['dr-1:b', 'smos-00'], ['-d'])).toEqual(mentions('-d', 'smos-00:pool/backup'));
    expect(refusal('zones', ['smos-00'], ['-e'])).toEqual(mentions('-e', 'smos-00:pool/backup'));
  });

  it.each<[string[], string[], string[]]>([
    [['smos-00', 'dr-1', 'smos-00'], [], ['zones/test', 'smos-00']],
    [['smos-00', 'smos-00:zones/test'], [], ['zones/test', 'smos-00']],
    [['smos-00:b', 'dr-1:b/c', 'smos-00:b/c'], ['-R'], ['b/c', 'smos-00', 'b']],
    [['smos-00:b', 'smos-00:b'], ['-e'], ['b/test', 'smos-00']],
  ])('are refused for a target given twice: %j', (targets, argv, facts) => {
    expect(refusal('zones/test', targets, argv)).toEqual(mentions('BAD_REQUEST', ...facts));
  });

  it('may have two datasets on one host as two targets', () => {
    expect(asked('zones/test', ['smos-00:a', 'smos-00:b'], ['-R', '-d']).requests).toHaveLength(2);
  });

  it('are refused if a dataset of this host would be sent into itself', () => {
    expect(refusal('zones/test', [':zones/test/copy'], [])).toEqual(mentions('zones/test', 'zones/test/copy'));
    expect(refusal('zones/test', [':zones'], ['-d'])).toEqual(mentions('BAD_REQUEST', 'zones/test', here));
  });
});
