import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  abortReceiveArgv,
  bookmarkArgv,
  destroyBookmarkArgv,
  destroySnapshotsArgv,
  estimateArgv,
  holdArgv,
  holdsArgv,
  inspectArgv,
  listArgv,
  listEachArgv,
  markRollbackArgv,
  placeholderArgv,
  type ReceiveRequest,
  receiveArgv,
  releaseArgv,
  renameArgv,
  rollbackArgv,
  type StreamRequest,
  sendArgv,
  writtenSinceArgv,
} from '../../../../lib/zfs/argv.ts';
import { ZpsendError } from '../../../../schemas/errors.ts';
import { streamFlagSchema } from '../../../../schemas/stream.ts';

const into: ReceiveRequest = { dataset: 'tank/b', snapshot: 'now', set: {}, exclude: [] };

describe('argument lists', () => {
  it('sends one full stream, or one incremental by full names', () => {
    expect(sendArgv({ to: 'tank/a@2' })).toEqual(['send', 'tank/a@2']);
    expect(sendArgv({ to: 'tank/a@2', from: 'tank/a@1' })).toEqual(['send', '-i', 'tank/a@1', 'tank/a@2']);
    expect(sendArgv({ to: 'tank/a@2', from: 'tank/a#1' })).toEqual(['send', '-i', 'tank/a#1', 'tank/a@2']);
  });

  it('resumes with the token alone', () => {
    expect(sendArgv({ token: '1-ab-c0-78' })).toEqual(['send', '-t', '1-ab-c0-78']);
    expect(estimateArgv({ token: '1-ab-c0-78' })).toEqual(['send', '-nvP', '-t', '1-ab-c0-78']);
  });

  it('receives without -s where the pool cannot keep partial state', () => {
    expect(receiveArgv({ ...into, resumable: false })).toEqual(['receive', '-u', 'tank/b@now']);
  });

  it('receives resumably, unmounted, into the one named snapshot, with the properties set and excluded', () => {
    expect(
      receiveArgv({ ...into, origin: 'tank/a@1', set: { readonly: 'on', 'a:b': '' }, exclude: ['mountpoint'] }),
    ).toEqual(
      ['receive', '-s', '-u', '-o', 'origin=tank/a@1', '-o', 'readonly=on', '-o', 'a:b=', '-x', 'mountpoint'].concat(
        'tank/b@now',
      ),
    );
  });

  it('lists everything, a dataset, or a dataset with its descendants in one command', () => {
    const [list, types] = [['list', '-Hp', '-t', 'filesystem,volume,snapshot,bookmark', '-o', 'name,guid'], 'tank/a'];
    expect(listArgv({}, ['name', 'guid'])).toEqual(list);
    expect(listArgv({ dataset: types }, ['name', 'guid'])).toEqual([...list, '-d', '1', 'tank/a']);
    expect(listArgv({ dataset: types, recursive: true }, ['name', 'guid'])).toEqual([...list, '-r', 'tank/a']);
  });

  it('lists many datasets in one command, each with its own snapshots and bookmarks', () => {
    expect(listEachArgv(['tank/a', 'tank/my b'])).toEqual(
      ['list', '-Hp', '-t', 'filesystem,volume,snapshot,bookmark', '-o'].concat(
        'name,type,guid,createtxg,referenced,written,creation',
        ...['-d', '1', 'tank/a', 'tank/my b'],
      ),
    );
  });

  it('creates a parent that no release mounts, marked as a placeholder', () => {
    expect(placeholderArgv('tank/my b')).toEqual(
      ['create', '-o', 'canmount=off', '-o', 'zpsend:placeholder=on'].concat('tank/my b'),
    );
  });

  it('destroys snapshots by name, rolls back to the newest one, and renames; nothing with a flag', () => {
    expect(destroySnapshotsArgv('tank/my b', ['x', 'at 12:00'])).toEqual(['destroy', 'tank/my b@x,at 12:00']);
    expect(rollbackArgv('tank/b@x')).toEqual(['rollback', 'tank/b@x']);
    expect(markRollbackArgv('tank/b', '42', 'abcdef1')).toEqual(['set', 'zpsend:rollback=42:abcdef1', 'tank/b']);
    expect(writtenSinceArgv('tank/b@at 12:00')).toEqual(['get', '-Hp', '-o', 'value', 'written@at 12:00', 'tank/b']);
    expect(renameArgv('tank/b', 'tank/b_diverged_7')).toEqual(['rename', 'tank/b', 'tank/b_diverged_7']);
  });

  it('takes names with spaces and colons as they are', () => {
    expect(sendArgv({ to: 'tank/my data:1@at 12:00' })).toEqual(['send', 'tank/my data:1@at 12:00']);
  });

  const bad = ['-rf', '', 'tank/a;b', 'tank/$(id)', 'tank/a\n', 'tank/a\0b', 'tank//a', '/tank', 'tank/', 'tank/../a'];
  const builders: Record<string, (name: string) => string[]> = {
    list: (name) => listArgv({ dataset: name }, ['name']),
    'list of each': (name) => listEachArgv(['tank/a', name]),
    inspection: (name) => inspectArgv(['tank/a', name], ['name']),
    'send to': (name) => sendArgv({ to: `${name}@x` }),
    'send from': (name) => sendArgv({ to: 'tank/a@x', from: `${name}@y` }),
    estimate: (name) => estimateArgv({ to: `${name}@x` }),
    receive: (name) => receiveArgv({ ...into, dataset: name }),
    'receive of an origin': (name) => receiveArgv({ ...into, origin: `${name}@x` }),
    placeholder: placeholderArgv,
    'abort of a receive': abortReceiveArgv,
    'destroy of snapshots': (name) => destroySnapshotsArgv(name, ['x']),
    rollback: (name) => rollbackArgv(`${name}@x`),
    'rollback mark': (name) => markRollbackArgv(name, '42', 'abcdef1'),
    'written since': (name) => writtenSinceArgv(`${name}@x`),
    'rename from': (name) => renameArgv(name, 'tank/b'),
    'rename to': (name) => renameArgv('tank/b', name),
    hold: (name) => holdArgv('zpsend:job', [`${name}@x`]),
    release: (name) => releaseArgv('zpsend:job', [`${name}@x`]),
    holds: (name) => holdsArgv([`${name}@x`]),
  };
  describe.each(Object.keys(builders))('%s', (what) => {
    it.each([...bad, `tank/${'x'.repeat(300)}`].map((name) => [JSON.stringify(name.slice(0, 30)), name]))(
      'refuses %s with BAD_REQUEST (I10)',
      (_, name) => {
        expect(() => builders[what]?.(name)).toThrow(expect.objectContaining({ code: 'BAD_REQUEST' }));
      },
    );
  });

  it.each([
    ['a snapshot that is a dataset', () => sendArgv({ to: 'tank/a' })],
    ['two at signs', () => sendArgv({ to: 'tank/a@1@2' })],
    ['a base that is a dataset', () => sendArgv({ to: 'tank/a@1', from: 'tank/a' })],
    ['a token that is an option', () => sendArgv({ token: '-e' })],
    ['a token that is a name', () => sendArgv({ token: 'tank/a@1' })],
    ['a snapshot name that is an option', () => receiveArgv({ ...into, snapshot: 'a@b' })],
    ['a property that is an option', () => receiveArgv({ ...into, set: { '-F': 'on' } })],
    ['a property with a value inside', () => receiveArgv({ ...into, set: { 'a=b': 'on' } })],
    ['a value with a newline', () => receiveArgv({ ...into, set: { readonly: 'on\n' } })],
    ['an excluded property that is an option', () => receiveArgv({ ...into, exclude: ['-F'] })],
    ['a destroy of no snapshot, which would be one of the dataset', () => destroySnapshotsArgv('tank/a', [])],
    ['a destroy of a range', () => destroySnapshotsArgv('tank/a', ['a%b'])],
    ['a destroy of an open range', () => destroySnapshotsArgv('tank/a', ['%'])],
    ['a destroy of a list in one name', () => destroySnapshotsArgv('tank/a', ['a', 'b,c'])],
    ['a destroy of an empty name', () => destroySnapshotsArgv('tank/a', ['a', ''])],
    ['a destroy of a bookmark', () => destroySnapshotsArgv('tank/a#b', ['x'])],
    ['a rollback to a dataset', () => rollbackArgv('tank/a')],
    ['a mark that is more than one', () => markRollbackArgv('tank/a', '42', 'abcdef1 mountpoint=/')],
    ['a mark of no dataset', () => markRollbackArgv('tank/a', '', 'abcdef1')],
    ['what was written since a dataset', () => writtenSinceArgv('tank/a')],
    ['a rename of a snapshot', () => renameArgv('tank/a@x', 'tank/a@y')],
    ['a tag that is an option', () => holdArgv('-r', ['tank/a@1'])],
    ['an empty tag', () => releaseArgv('', ['tank/a@1'])],
  ])('refuses %s', (_, build) => {
    expect(build).toThrow(expect.objectContaining({ code: 'BAD_REQUEST' }));
  });
});

describe('with arbitrary names', () => {
  const name = fc.oneof(
    fc.string({ maxLength: 20 }),
    fc.stringMatching(/^[-a-zA-Z_.: /]{0,12}([@#][-a-z. ]{0,5})?$/),
    fc.constantFrom('tank/a@-I', 'tank/-I@x', '-I', '--', 'tank/a#-x', '@-I', '-'),
  );
  const stream: fc.Arbitrary<StreamRequest> = fc.oneof(
    fc.record({ to: name }),
    fc.record({ to: name, from: name, flags: fc.subarray(streamFlagSchema.options) }),
    fc.record({ token: name }),
  );
  const receive = fc.record({
    dataset: name,
    snapshot: name,
    origin: name,
    set: fc.dictionary(name, name, { maxKeys: 2 }),
    exclude: fc.array(name, { maxLength: 2 }),
  });
  const flags = new Set([
    '-Hp',
    '-t',
    '-o',
    '-x',
    '-r',
    '-d',
    '-i',
    '-s',
    '-u',
    '-A',
    '-H',
    '-nvP',
    '-w',
    '-L',
    '-e',
    '-c',
    '-p',
  ]);
  const built = fc.oneof(
    stream.map((asked) => () => sendArgv(asked)),
    stream.map((asked) => () => estimateArgv(asked)),
    receive.map((asked) => () => receiveArgv(asked)),
    fc.tuple(name, name).map(
      ([tag, snapshot]) =>
        () =>
          holdArgv(tag, [snapshot]),
    ),
    name.map((one) => () => placeholderArgv(one)),
    fc.tuple(name, fc.array(name, { maxLength: 3 })).map(
      ([dataset, leaves]) =>
        () =>
          destroySnapshotsArgv(dataset, leaves),
    ),
    name.map((one) => () => rollbackArgv(one)),
    fc.tuple(name, name).map(
      ([from, to]) =>
        () =>
          renameArgv(from, to),
    ),
    name.map((one) => () => inspectArgv([one], ['name'])),
    name.map((one) => () => listArgv({ dataset: one }, ['name'])),
  );

  it('edge case 25: no argument but our own flags begins with "-" (I10), and -I is never there (I2)', () => {
    fc.assert(
      fc.property(built, (build) => {
        let argv: string[];
        try {
          argv = build();
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(ZpsendError);
          return;
        }
        expect(argv.filter((one) => one.startsWith('-') && !flags.has(one))).toEqual([]);
        expect(argv).not.toContain('-I');
        expect(destroysMore(argv), argv.join(' ')).toBe(false);
      }),
      { numRuns: 3000 },
    );
  });
});

/** I5: destroys a dataset, dependents, or more than the named snapshots. */
function destroysMore([verb = '', ...rest]: string[]): boolean {
  const words = rest.join(' ');
  if (verb === 'destroy') return rest.length !== 1 || !/^[^@#%]+@[^@#%]+$/.test(words) || /,(?:,|$)|@,/.test(words);
  if (verb === 'rollback') return rest.length !== 1 || !words.includes('@');
  if (verb === 'rename') return rest.length !== 2 || /[@#]/.test(words);
  return verb === 'receive' && rest.some((word) => /^-[a-zA-Z]*F/.test(word));
}

it('I5: no builder of command lines destroys anything but snapshots and cursors by name', async () => {
  const builders: Record<string, unknown> = await import('../../../../lib/zfs/argv.ts');
  const source = readFileSync(new URL('../../../../lib/zfs/argv.ts', import.meta.url), 'utf8');
  expect(source.match(/'destroy'/g)).toHaveLength(2);
  expect(source.match(/'rollback'/g)).toHaveLength(1);
  expect(source).not.toMatch(/'-(?:R|F|f|rf|Rf)'/);
  expect(Object.keys(builders).filter((name) => /destroy/i.test(name))).toEqual([
    'destroySnapshotsArgv',
    'destroyBookmarkArgv',
  ]);
});

describe('I5: what is destroyed as a bookmark', () => {
  it('is one bookmark of zpsend’s own, by its full name', () => {
    expect(bookmarkArgv('tank/a@1', 'tank/a#zpsend_smos-00_0123abcd_1')).toEqual([
      ...['bookmark', 'tank/a@1', 'tank/a#zpsend_smos-00_0123abcd_1'],
    ]);
    expect(destroyBookmarkArgv('tank/a#zpsend_1')).toEqual(['destroy', 'tank/a#zpsend_1']);
  });

  it.each([
    ['a dataset', 'tank/a'],
    ['a snapshot', 'tank/a@1'],
    ['a snapshot that is called like a cursor', 'tank/a@zpsend_x'],
    ['a foreign bookmark', 'tank/a#mine'],
    ['a bookmark below a dataset that is called like one', 'tank/zpsend_x#mine'],
    ['a list', 'tank/a#zpsend_x,mine'],
    ['a range', 'tank/a@1%#zpsend_x'],
    ['a snapshot in front of it', 'tank/a@1#zpsend_x'],
    ['an option', '-r#zpsend_x'],
    ['two', 'tank/a#zpsend_x tank/b'],
    ['a line', 'tank/a#zpsend_x\n'],
    ['no dataset', '#zpsend_x'],
    ['nothing', ''],
    ['a name that is too long', `tank/${'a'.repeat(244)}#zpsend_x`],
  ])('is never %s', (_, name) => {
    expect(() => destroyBookmarkArgv(name)).toThrow(expect.objectContaining({ code: 'BAD_REQUEST' }));
    expect(() => bookmarkArgv('tank/a@1', name)).toThrow(expect.objectContaining({ code: 'BAD_REQUEST' }));
  });

  it('is nothing else, with arbitrary names', () => {
    const name = fc.oneof(
      fc.string({ maxLength: 30 }),
      fc.stringMatching(/^[-a-z/@#,% ]{0,12}#?(zpsend_)?[-a-z@#,%_ ]{0,8}$/),
    );
    fc.assert(
      fc.property(name, (name) => {
        let argv: string[] | undefined;
        try {
          argv = destroyBookmarkArgv(name);
        } catch {
          return;
        }
        expect(argv).toHaveLength(2);
        expect(argv[1]).toMatch(/^[A-Za-z][^@#,%\n-]*[^@#,%\n]*#zpsend_[A-Za-z0-9_-]+$/);
      }),
      { numRuns: 3000 },
    );
  });
});
