import { describe, expect, it } from 'vitest';
import {
  abortReceiveArgv,
  holdArgv,
  holdsArgv,
  listArgv,
  placeholderArgv,
  receiveArgv,
  releaseArgv,
  sendArgv,
} from '../../../../lib/zfs/argv.ts';
import { allowLine } from '../../../../lib/zfs/delegation.ts';
import { toError } from '../../../../lib/zfs/errors.ts';
import { mentions } from '../../../support/mentions.ts';

const into = { dataset: 'tank/backup/vm', snapshot: 'a', set: {}, exclude: [] };

describe('the command that grants the missing permission', () => {
  it.each([
    ['send', sendArgv({ to: 'tank/a@2', from: 'tank/a@1' }), 'zfs allow -u zpsend send tank/a'],
    ['hold', holdArgv('zpsend:x', ['tank/a@1', 'tank/a@2']), 'zfs allow -u zpsend hold,release tank/a'],
    ['release', releaseArgv('zpsend:x', ['tank/a@1']), 'zfs allow -u zpsend hold,release tank/a'],
    ['receive', receiveArgv(into), 'zfs allow -u zpsend receive,create,mount tank/backup'],
    [
      'receive with properties',
      receiveArgv({ ...into, set: { readonly: 'on', 'zpsend:a': '1', 'zpsend:b': '2' }, exclude: ['mountpoint'] }),
      'zfs allow -u zpsend receive,create,mount,readonly,userprop tank/backup',
    ],
    [
      'receive of a clone',
      receiveArgv({ ...into, origin: 'tank/backup/o@a' }),
      'zfs allow -u zpsend receive,create,mount tank/backup',
    ],
    ['receive into a pool', receiveArgv({ ...into, dataset: 'tank' }), 'zfs allow -u zpsend receive,create,mount tank'],
    ['abort', abortReceiveArgv('tank/backup/vm'), 'zfs allow -u zpsend destroy,mount tank/backup'],
    ['create', placeholderArgv('tank/backup/p'), 'zfs allow -u zpsend create,mount,canmount,userprop tank/backup'],
    ['bookmark', ['bookmark', 'tank/a@1', 'tank/a#1'], 'zfs allow -u zpsend bookmark tank/a'],
    ['destroy of a bookmark', ['destroy', 'tank/a#1'], 'zfs allow -u zpsend destroy tank/a'],
    ['destroy', ['destroy', 'tank/a@1'], 'zfs allow -u zpsend destroy,mount tank/a'],
    ['rollback', ['rollback', 'tank/a@1'], 'zfs allow -u zpsend rollback,mount tank/a'],
    ['rename', ['rename', 'tank/a/x', 'tank/a/y'], 'zfs allow -u zpsend rename,create,mount tank/a'],
    [
      'two datasets',
      holdArgv('zpsend:x', ['tank/o@1', 'tank/a b@1']),
      'zfs allow -u zpsend hold,release tank/o && zfs allow -u zpsend hold,release "tank/a b"',
    ],
  ])('is there for %s', (_, argv, line) => {
    expect(allowLine(argv, 'zpsend')).toBe(line);
  });

  it.each([
    ['a listing', listArgv({}, ['name'])],
    ['a listing of holds', holdsArgv(['tank/a@1'])],
    ['a resumed send, which does not name its dataset', sendArgv({ token: '1-abc' })],
  ])('is not there for %s', (_, argv) => {
    expect(allowLine(argv, 'zpsend')).toBeUndefined();
  });
});

describe('a permission that is denied', () => {
  const denied = { doing: 'holding tank/a@1', host: 'smos-01', stderr: 'cannot hold: permission denied\n' };
  const line = 'zfs allow -u zpsend hold,release tank/a';

  it('is NOT_ALLOWED with that command, in its message and in its details', () => {
    const error = toError({ ...denied, argv: holdArgv('zpsend:x', ['tank/a@1']), user: 'zpsend' });
    expect(error).toMatchObject({ code: 'NOT_ALLOWED', details: { allow: line } });
    expect(error.message).toEqual(mentions('tank/a@1', 'smos-01', 'cannot hold: permission denied', line));
  });

  it('has advice also without such a command', () => {
    expect(toError(denied).message).toEqual(mentions('root', 'zfs allow'));
  });
});
