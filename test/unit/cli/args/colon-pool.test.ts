import { describe, expect, test } from 'vitest';
import { ambiguousIn, withPoolHint } from '../../../../cli/args/colon-pool.ts';
import { type ErrorBody, ZpsendError } from '../../../../schemas/errors.ts';
import { mentions } from '../../../support/mentions.ts';

const absent = (details: ErrorBody['details']) => new ZpsendError('UNREACHABLE', 'no answer', details).toBody();
const hinted = (argv: string[], error: ErrorBody, pools: string[]) =>
  withPoolHint(error, ambiguousIn(argv, error), pools).message;

describe('a pool with a colon that was parsed as a host', () => {
  test('edge case 36: the hint has the form with a colon before it, for a source, a target and the pool itself', () => {
    const cases: [string[], ErrorBody['details'], string][] = [
      [['send', 'tank:a/x', 'smos-00'], { host: 'tank' }, '":tank:a/x"'],
      [['plan', 'tank:a/x@now', 'smos-00'], { host: 'tank' }, '":tank:a/x@now"'],
      [['send', 'z/x', 'smos-00', 'tank:a/x'], { subject: 'zfs.tank.snapshots' }, '":tank:a/x"'],
      [['snapshots', 'tank:a'], { subject: 'zfs.tank.snapshots' }, '":tank:a"'],
    ];
    for (const [argv, details, form] of cases) {
      expect(hinted(argv, absent(details), ['zones', 'tank:a'])).toEqual(mentions('no answer', 'tank:a', form));
    }
  });

  test('there is no hint without such a pool, or if another host is absent', () => {
    expect(hinted(['send', 'tank:a/x', 'b'], absent({ host: 'tank' }), ['tank', 'tank:ab'])).toBe('no answer');
    expect(hinted(['send', 'tank:a/x', 'b'], absent({ subject: 'zfs.b.snapshots' }), ['tank:a'])).toBe('no answer');
    expect(hinted(['send', ':tank:a/x', 'tank'], absent({ host: 'tank' }), ['tank:a'])).toBe('no answer');
    const refused = new ZpsendError('NOT_ALLOWED', 'no answer', { host: 'tank' }).toBody();
    expect(hinted(['send', 'tank:a/x', 'b'], refused, ['tank:a'])).toBe('no answer');
  });
});
