import { describe, expect, test } from 'vitest';
import { ambiguousIn, withPoolHint } from '../../../../cli/args/colon-pool.ts';
import { type ErrorBody, ZpsendError } from '../../../../schemas/errors.ts';
import { mentions } from '../../../support/mentions.ts';

const absent = (details: ErrorBody['details']) => new ZpsendError('UNREACHABLE', 'nobody there', details).toBody();
const told = (argv: string[], error: ErrorBody, pools: string[]) =>
  withPoolHint(error, ambiguousIn(argv, error), pools).message;

describe('a pool with a colon that was parsed as a host', () => {
  test('edge case 36: the words give the form with a colon before it, for a source, a target and the pool itself', () => {
    const cases: [string[], ErrorBody['details'], string][] = [
      [['send', 'tank:a/x', 'smos-00'], { host: 'tank' }, '":tank:a/x"'],
      [['plan', 'tank:a/x@now', 'smos-00'], { host: 'tank' }, '":tank:a/x@now"'],
      [['send', 'z/x', 'smos-00', 'tank:a/x'], { subject: 'zfs.tank.snapshots' }, '":tank:a/x"'],
      [['snapshots', 'tank:a'], { subject: 'zfs.tank.snapshots' }, '":tank:a"'],
    ];
    for (const [argv, details, form] of cases) {
      expect(told(argv, absent(details), ['zones', 'tank:a'])).toEqual(mentions('nobody there', 'tank:a', form));
    }
  });

  test('there is no hint without such a pool, or if another host is absent', () => {
    expect(told(['send', 'tank:a/x', 'b'], absent({ host: 'tank' }), ['tank', 'tank:ab'])).toBe('nobody there');
    expect(told(['send', 'tank:a/x', 'b'], absent({ subject: 'zfs.b.snapshots' }), ['tank:a'])).toBe('nobody there');
    expect(told(['send', ':tank:a/x', 'tank'], absent({ host: 'tank' }), ['tank:a'])).toBe('nobody there');
    const refused = new ZpsendError('NOT_ALLOWED', 'nobody there', { host: 'tank' }).toBody();
    expect(told(['send', 'tank:a/x', 'b'], refused, ['tank:a'])).toBe('nobody there');
  });
});
