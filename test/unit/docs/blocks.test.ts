import { describe, expect, it, test } from 'vitest';
import { blocksOf, matchesOutput } from '../../support/docs/blocks.ts';

const page = (...lines: string[]): string => lines.join('\n');

describe('blocksOf', () => {
  it('takes commands with their hosts, outputs and exit statuses', () => {
    const text = page(
      'Text',
      '',
      '1. Step:',
      '',
      '   ```console',
      '   smos-01# zpsend send zones/test smos-00 \\',
      '       --quiet',
      '   smos-00$ zfs list',
      '   NAME   USED',
      '     zones  1M',
      '   [exit 3]',
      '   ```',
    );
    expect(blocksOf(text)).toEqual([
      {
        kind: 'console',
        line: 5,
        commands: [
          {
            line: 6,
            host: 'smos-01',
            text: 'zpsend send zones/test smos-00 \\\n    --quiet',
            expected: undefined,
            exit: 0,
          },
          { line: 8, host: 'smos-00', text: 'zfs list', expected: 'NAME   USED\n  zones  1M', exit: 3 },
        ],
      },
    ]);
  });

  it('takes the files of a host, reasons, other text and commands that are not shown', () => {
    const text = page(
      '```yaml',
      '# /etc/zpsend.yaml on smos-00',
      'receive: {}',
      '```',
      '```console not-run="it needs root"',
      '# apt install zpsend',
      '```',
      '```json',
      '{}',
      '```',
      '<!-- run',
      'smos-01# zfs create zones/more',
      '-->',
    );
    expect(blocksOf(text)).toMatchObject([
      { kind: 'file', host: 'smos-00', path: '/etc/zpsend.yaml', text: '# /etc/zpsend.yaml on smos-00\nreceive: {}' },
      { kind: 'not-run', reason: 'it needs root' },
      { kind: 'text', language: 'json', text: '{}' },
      { kind: 'console', commands: [{ host: 'smos-01', text: 'zfs create zones/more' }] },
    ]);
  });

  it.each([
    ['a block without an end', page('```console', 'smos-01# zfs list')],
    ['a console block that begins with no command', page('```console', '$ zfs list', '```')],
  ])('refuses %s', (_, text) => expect(() => blocksOf(text)).toThrow(/line \d/));
});

test.each<[expected: string, actual: string, isSame: boolean]>([
  ['done', 'done\n', true],
  ['done', 'done, 1 failed', false],
  ['sent 3 steps', 'sent 12 steps', true],
  ['sent 3 steps', 'sent no steps', false],
  ['21.0M in 23s', '7.5K in 150ms', true],
  ['21.0M of zones', '21.0M of tank', false],
  ['zones/test@s1  3.00M', 'zones/test@s1    512B', true],
  ['...', 'anything\nat all', true],
  ['first\n...\nlast', 'first\nlast', true],
  ['first\n...\nlast', 'first\nsecond\nthird\nlast', true],
  ['first\n...\nlast', 'first\nsecond', false],
  ['done: ...', 'done: 3 (all)', true],
  ['a.b (c)', 'a.b (c)', true],
  ['a.b', 'axb', false],
  ['one\ntwo', 'one', false],
  ['one', 'one\ntwo', false],
])('the output %j shows %j: %s', (expected, actual, isSame) => expect(matchesOutput(expected, actual)).toBe(isSame));
