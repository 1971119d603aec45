import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { rules } from '../../../../lib/zfs/error-rules.ts';
import {
  nothingToAbort,
  onlyBookmarkExists,
  onlyExists,
  onlyMissing,
  onlyNoBookmark,
  onlyNotHeld,
  onlyTagExists,
  toError,
  unknownColumn,
} from '../../../../lib/zfs/errors.ts';
import { codes } from '../../../../schemas/error-codes.ts';
import type { Code } from '../../../../schemas/errors.ts';
import { mentions } from '../../../support/mentions.ts';

interface Sample {
  situation: string;
  argv: string[];
  exit: number;
  stderr: string;
}

const read = (release: string): Sample[] =>
  JSON.parse(readFileSync(new URL(`../../../fixtures/stderr/${release}.json`, import.meta.url), 'utf8'));
const releases = ['2.3.2', '2.1.11', 'extra'];
/** The commands that the adapter runs; the other samples are of commands that it never runs. */
const ours =
  /^(?:(?:list|send|create|receive|holds?|release|rollback|bookmark|zpool list|module)\b|destroy: (?!dataset|dry run).*(?:snapshot|user)|destroy: (?:unknown )?bookmark|rename: (?!snapshot|recursive))/;
const samples = releases.flatMap((release) =>
  read(release)
    .filter(({ exit, situation }) => exit !== 0 && ours.test(situation))
    .map((sample) => ({ release, ...sample })),
);

/** The code of each captured failure. A new sample needs a line here. */
const expected: Partial<Record<Code, string[]>> = {
  NO_SUCH_DATASET: [
    'list: unknown dataset',
    'list: unknown pool',
    'list: below a volume',
    'list: dataset below an unknown pool',
    'list: name begins with a dash',
    'receive: incremental into an unknown dataset',
    'create: parent missing',
    'create: unknown pool',
    'receive: parent missing',
    'receive: unknown pool',
    'list: nothing stays of a cut stream without -s',
    'list: after abort of a new dataset',
    'receive: abort where there is no dataset',
    'receive: resumed stream where nothing is partial',
    // the receive was over by then
    '2.3.2 receive: abort while a receive runs',
    'hold: unknown dataset',
    'release: unknown dataset',
    'zpool list: unknown pool',
    'zpool list: exported pool',
    'rename: parent missing',
    'rename: unknown',
  ],
  NO_SUCH_SNAPSHOT: [
    'list: unknown snapshot',
    'list: unknown bookmark',
    'send: unknown snapshot',
    'send: unknown dataset',
    'send: unknown pool',
    'send: from does not exist',
    'send: dry run, of an unknown snapshot',
    'hold: unknown snapshot',
    'hold: one of two unknown',
    'holds: unknown snapshot',
    'holds: unknown dataset',
    'release: unknown snapshot',
    'list: the snapshot went with its last hold',
    'list: of seven names three are there',
    'destroy: unknown snapshot',
    'destroy: unknown snapshots in a list',
    'rollback: unknown snapshot',
    'bookmark: unknown snapshot',
  ],
  UNSUPPORTED: [
    'list: bad property',
    'module: no /dev/zfs',
    'holds: parsable',
    'bookmark: the pool lacks the feature',
    'create: below a volume',
    'receive: below a volume',
    'receive: incremental without -L onto what was received with it',
    'receive: incremental without -L, as later releases say it',
    'receive: embedded data into a new encrypted dataset',
    'receive: embedded data onto an encrypted dataset',
    'receive: raw into a pool without encryption',
  ],
  BAD_REQUEST: [
    'list: name with a bad character',
    'list: empty component',
    'list: trailing slash',
    'list: name too long',
    'list: two at signs',
    'list: snapshot not asked for by type',
    'list: dot dot component',
    'send: not a snapshot',
    'create: name with a bad character',
    'create: name begins with a dash',
    'create: name too long',
    'create: name with a newline',
    'receive: bad name',
    'receive: invalid property',
    'receive: property that does not fit the type',
    'hold: not a snapshot',
    'receive: a volume with mountpoint set',
    'receive: a package into one named snapshot',
    'send: properties of an encrypted dataset without -w',
    'rename: another pool',
  ],
  READ_ONLY: [
    'hold: pool is read-only',
    'hold: pool is read-only, held by that tag',
    'release: pool is read-only',
    'bookmark: pool is read-only',
    'bookmark: pool is read-only, of a bookmark',
    'destroy: bookmark, pool is read-only',
    'destroy: snapshot, pool is read-only',
    'create: pool is read-only',
    'rename: pool is read-only',
    'rollback: pool is read-only',
    'receive: abort partial, pool is read-only',
    'receive: full, pool is read-only',
    'receive: incremental, pool is read-only',
  ],
  INTERNAL: [
    'send: damaged data',
    'list: leading slash',
    'receive: abort where nothing is partial',
    'hold: tag exists',
    'hold: one of two has the tag',
    'release: tag missing',
    'release: as an ordinary user',
    'send: reader went away',
    'bookmark: exists',
    'bookmark: another dataset',
    'bookmark: name too long',
    'destroy: bookmark of an unknown dataset',
    'destroy: unknown bookmark',
  ],
  BASE_MISSING: [
    'send: from is later',
    'send: from is the same snapshot',
    'send: from another dataset',
    'send: bookmark does not exist',
    'send: bookmark is later',
    'send: dry run, bookmark does not exist',
  ],
  RESUME_STALE: [
    'send: malformed token',
    'send: token not a token',
    'send: token dry run, malformed',
    'send: token with an altered digit',
    'receive: resumed stream whose offset is not the one wanted',
    'send: a stale token, snapshot gone',
    'send: a stale token, snapshot gone, dry run',
  ],
  NOT_ALLOWED: [
    'send: as an ordinary user',
    'hold: as an ordinary user',
    'create: as an ordinary user',
    'bookmark: as an ordinary user',
    'destroy: bookmark as an ordinary user',
    'receive: abort as an ordinary user',
    'module: /dev/zfs not open to ordinary users',
    'destroy: as an ordinary user',
    'rollback: as an ordinary user',
    'rename: as an ordinary user',
  ],
  EXISTS: [
    'create: exists',
    'receive: clone into an existing dataset',
    'receive: clone into an existing dataset, origin given',
    'receive: full into an existing dataset',
    'receive: full with -F into an existing dataset with snapshots',
    'receive: full into an existing pool root',
    'receive: full into an existing dataset without snapshots',
    'receive: snapshot name given and taken',
    'receive: full onto a partly received dataset',
    'receive: another receive is running, new dataset',
    'receive: raw with -F over a plain dataset',
    'receive: two snapshots into one named snapshot',
    'rename: target exists',
  ],
  DIVERGED: [
    'receive: raw incremental after a plain one',
    'receive: incremental, base is not the newest there',
    'receive: incremental into an unrelated dataset',
    'receive: incremental with -F into an unrelated dataset',
    'receive: raw incremental onto a plain dataset',
    'destroy: newest snapshot below partial state',
    'destroy: snapshot that is the base of a running receive',
    '2.3.2 destroy: held snapshot',
    'destroy: snapshot with clones',
    'rollback: newer snapshots',
    'rollback: newer snapshots with clones',
  ],
  MODIFIED: [
    'receive: raw incremental onto a dataset with a snapshot of its own',
    'receive: target modified since its newest snapshot',
    'receive: target has a newer snapshot of its own',
  ],
  STREAM_BROKEN: [
    'receive: empty stream',
    'receive: not a stream',
    'receive: not a stream, short',
    'receive: stream cut inside its first record',
    'receive: stream cut, without -s',
    'receive: stream cut, with -s, new dataset',
    'receive: resumed stream cut again',
    'receive: incremental cut, with -s',
    'receive: as an ordinary user',
    'receive: stream with altered bytes',
  ],
  BUSY: [
    'rename: mounted and in use',
    'list: pool is suspended',
    'create: pool is suspended',
    'send: pool is suspended',
    'receive: pool is suspended',
    '2.1.11 receive: abort while a receive runs',
    'receive: full with -F onto a partly received dataset',
    'receive: incremental onto a dataset with partial state',
    'receive: incremental with -F onto a dataset with partial state',
    'receive: another receive is running, with -F',
    'receive: another receive is running, existing dataset',
    'receive: incremental onto a snapshotted dataset with partial state',
    'destroy: snapshot being sent',
    '2.1.11 destroy: held snapshot',
  ],
  NO_SPACE: ['receive: pool full', 'receive: pool full, without -s', 'receive: quota of the parent exceeded'],
  ORIGIN_MISSING: [
    'receive: clone whose origin is not there',
    'receive: clone with a wrong origin given',
    'receive: clone with an unknown origin given',
    'receive: incremental whose base is not the origin given',
    'receive: clone with an origin of the same pool that is not its own',
  ],
  ABORTED: ['send: reader went away, exit status when SIGPIPE is ignored'],
  KEY_REQUIRED: [
    'send: encrypted, key not loaded, not raw',
    'receive: plain incremental onto a raw received dataset, key not loaded',
    'receive: plain below a dataset whose key is not loaded',
    'create: below a dataset whose key is not loaded',
  ],
};
const codeOf = new Map(Object.entries(expected).flatMap(([code, list]) => list.map((situation) => [situation, code])));

const classify = (stderr: string, more: { from?: string; exitCode?: number; signal?: string } = {}) =>
  toError({ doing: 'sending tank/a@2', host: 'smos-01', stderr, ...more });

describe('an error of ZFS becomes a code', () => {
  it.each(samples)('$release $situation', ({ release, situation, stderr, exit }) => {
    expect(classify(stderr, { exitCode: exit }).code).toBe(
      codeOf.get(situation) ?? codeOf.get(`${release} ${situation}`),
    );
  });

  it.each(rules)('its own sample finds the rule of $sample', (rule) => {
    const error = classify(rule.sample);
    expect([error.code, error.message]).toEqual([rule.code, expect.stringContaining(rule.advice)]);
  });

  it('a missing base is distinguished from a missing snapshot', () => {
    const gone = "cannot open 'tank/a@1': dataset does not exist\n";
    expect(classify(gone, { from: 'tank/a@1' }).code).toBe('BASE_MISSING');
    expect(classify(gone, { from: 'tank/a@0' }).code).toBe('NO_SUCH_SNAPSHOT');
  });

  it('a warning before it does not hide the failure', () => {
    const warning = "Warning: dozer/vol: property 'mountpoint' does not apply to datasets of this type\n";
    expect(classify(`${warning}cannot receive new filesystem stream: out of space\n`).code).toBe('NO_SPACE');
    expect(classify(`${warning}cannot receive: something new\n`).code).toBe('INTERNAL');
  });

  it('a killed process is ABORTED, and an unknown error is INTERNAL with all of its text', () => {
    expect(classify('', { signal: 'SIGTERM' })).toMatchObject({ code: 'ABORTED' });
    const unseen = classify('internal error: Value too large\nAborted\n', { exitCode: 134 });
    expect(unseen).toMatchObject({
      code: 'INTERNAL',
      details: { stderr: 'internal error: Value too large\nAborted\n', exitCode: 134 },
    });
    expect(classify('', { exitCode: 3 }).message).toEqual(mentions(3));
  });

  it('has what failed, on which host, the line of ZFS, and what to do', () => {
    const wrapped =
      'cannot receive incremental stream: most recent snapshot of dozer/a does not\nmatch incremental source\n';
    expect(toError({ doing: 'receiving into dozer/a', host: 'smos-00', stderr: wrapped }).message).toEqual(
      mentions(
        'smos-00',
        'cannot receive incremental stream: most recent snapshot of dozer/a does not match incremental source',
      ),
    );
  });
});

describe('the classifier', () => {
  it('is total: any text gives a code of the list, and a message that fits the wire', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 5000 }), fc.option(fc.nat(255), { nil: undefined }), (stderr, exitCode) => {
        const error = toError({ doing: 'd', host: 'h', stderr, exitCode });
        expect(codes).toHaveProperty(error.code);
        expect(error.message.length).toBeLessThan(8192);
      }),
    );
  });

  it('is not misled by names that look like messages', () => {
    const tails = samples.flatMap(({ stderr }) => stderr.match(/(?<=: )[A-Za-z][A-Za-z0-9_.: -]+$/gm) ?? []);
    const name = fc.constantFrom(...new Set(tails)).map((tail) => `tank/a: ${tail}`);
    const messages: [Code, (name: string) => string][] = [
      ['NO_SUCH_DATASET', (name) => `cannot open '${name}': dataset does not exist\n`],
      ['NO_SUCH_SNAPSHOT', (name) => `cannot open '${name}@x': dataset does not exist\n`],
      ['EXISTS', (name) => `cannot receive new filesystem stream: destination '${name}' exists\nmust specify -F\n`],
      ['DIVERGED', (name) => `cannot receive: most recent snapshot of ${name} does not\nmatch incremental source\n`],
      ['MODIFIED', (name) => `cannot receive: destination ${name} has been modified\nsince most recent snapshot\n`],
      [
        'BUSY',
        (name) => `cannot receive: destination ${name} contains partially-complete state from "zfs receive -s".\n`,
      ],
      ['NO_SPACE', (name) => `cannot receive new filesystem stream: destination ${name} space quota exceeded.\n`],
      ['NOT_ALLOWED', (name) => `warning: cannot send '${name}@x': permission denied\n`],
      ['UNSUPPORTED', (name) => `cannot create '${name}': parent is not a filesystem\n`],
      ['UNSUPPORTED', (name) => `cannot receive new filesystem stream: parent '${name}' is not a filesystem\n`],
      ['KEY_REQUIRED', (name) => `warning: cannot send '${name}@x': dataset key must be loaded\n`],
    ];
    fc.assert(
      fc.property(name, fc.constantFrom(...messages), (name, [code, message]) => {
        expect(classify(message(name)).code).toBe(code);
      }),
      { numRuns: 500 },
    );
  });
});

describe('failures that are tolerated', () => {
  const stderrOf = (situation: string) => samples.find((sample) => sample.situation === situation)?.stderr ?? '';
  const denied = "cannot hold snapshot 'tank/a@1': permission denied\n";

  it('an inspection or a listing of holds in which only some names are missing', () => {
    expect(onlyMissing(stderrOf('list: of seven names three are there'))).toBe(true);
    expect(onlyMissing(stderrOf('holds: unknown snapshot'))).toBe(true);
    expect(onlyMissing(stderrOf('list: of seven names three are there') + denied)).toBe(false);
    expect(onlyMissing('')).toBe(false);
  });

  it('a release of a hold or snapshot that does not exist', () => {
    expect(onlyNotHeld(stderrOf('release: tag missing') + stderrOf('release: unknown snapshot'))).toBe(true);
    expect(onlyNotHeld(stderrOf('release: unknown dataset'))).toBe(true);
    expect(onlyNotHeld(stderrOf('release: tag missing') + denied)).toBe(false);
  });

  it('a hold that already exists', () => {
    expect(onlyTagExists(stderrOf('hold: tag exists'))).toBe(true);
    expect(onlyTagExists(stderrOf('hold: tag exists') + stderrOf('hold: unknown snapshot'))).toBe(false);
  });

  it('a bookmark that already exists, or is already destroyed', () => {
    expect(onlyBookmarkExists(stderrOf('bookmark: exists'))).toBe(true);
    expect(onlyBookmarkExists(stderrOf('bookmark: as an ordinary user'))).toBe(false);
    expect(onlyNoBookmark(stderrOf('destroy: unknown bookmark'))).toBe(true);
    expect(onlyNoBookmark(stderrOf('destroy: bookmark of an unknown dataset'))).toBe(true);
    expect(onlyNoBookmark(denied)).toBe(false);
  });

  it('a parent that already exists', () => {
    expect(onlyExists(stderrOf('create: exists'))).toBe(true);
    expect(onlyExists(stderrOf('create: parent missing'))).toBe(false);
    expect(onlyExists('')).toBe(false);
  });

  it('an abort without partial state', () => {
    expect(nothingToAbort(stderrOf('receive: abort where nothing is partial'))).toBe(true);
    expect(nothingToAbort(stderrOf('receive: abort where there is no dataset'))).toBe(true);
    expect(nothingToAbort("cannot destroy 'dozer/busy': dataset is busy\n")).toBe(false);
  });
});

it('a column that this ZFS does not know is named', () => {
  expect(unknownColumn("bad property list: invalid property 'keystatus'\nusage:\n\tlist ...\n")).toBe('keystatus');
  expect(unknownColumn("cannot open 'tank/a': dataset does not exist\n")).toBeUndefined();
});

describe('/dev/zfs', () => {
  const codeOf = (stderr: string) => toError({ doing: 'listing', host: 'smos-01', stderr, exitCode: 1 });

  it.each([
    'Unable to open /dev/zfs: Permission denied.',
    '/dev/zfs: Permission denied',
    '/dev/zfs: Operation not permitted',
  ])('if this user may not open it, the module still counts as loaded: %s', (stderr) => {
    expect(codeOf(stderr)).toMatchObject({ code: 'NOT_ALLOWED', message: mentions('/dev/zfs') });
    expect(codeOf(stderr).message).not.toContain('modprobe');
  });

  it('that does not exist means that the module is missing', () => {
    const missing = codeOf('Unable to open /dev/zfs: No such file or directory.');
    expect(missing).toMatchObject({ code: 'UNSUPPORTED', message: mentions('modprobe zfs') });
  });
});
