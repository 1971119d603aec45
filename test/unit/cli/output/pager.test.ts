import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { isLonger, pagerOf, showInPager } from '../../../../cli/output/pager.ts';

test.each<[string | undefined, string[]]>([
  [undefined, ['less', '-FRX']],
  ['more', ['more']],
  [' less  -S ', ['less', '-S']],
  ['less; reboot', ['less;', 'reboot']],
  ['cat', []],
  ['', []],
])('PAGER=%j is the command %j', (PAGER, command) => expect(pagerOf({ PAGER })).toEqual(command));

test.each<[number, number, boolean]>([
  [23, 10, false],
  [24, 10, true],
  [12, 81, true],
  [11, 81, false],
])('%i lines of %i characters on 80x24: longer is %s', (count, width, longer) => {
  const lines = Array.from({ length: count }, () => 'x'.repeat(width));
  expect(isLonger(lines, { rows: 24, columns: 80 })).toBe(longer);
});

test('a pager gets the lines without control characters', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'zpsend-pager-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const [script, seen] = [join(folder, 'pager'), join(folder, 'seen')];
  writeFileSync(script, '#!/bin/sh\ncat > "$1"\nexit 1\n', { mode: 0o755 });
  expect(await showInPager(['one\x1b[2J', 'two'], { PAGER: `${script} ${seen}` })).toBe(true);
  expect(readFileSync(seen, 'utf8')).toBe('one?[2J\ntwo\n');
});

test('a pager that is not there shows nothing', async () => {
  expect(await showInPager(['one'], { PAGER: '/nowhere/pager -x' })).toBe(false);
});

test('a pager that ends before it has read everything is no error', async () => {
  expect(await showInPager(Array(100_000).fill('a long line of text'), { PAGER: 'true' })).toBe(true);
});
