import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { execa } from 'execa';
import { describe, expect, onTestFinished, test } from 'vitest';
import { manualPages } from '../../../tools/man/main.ts';
import { line, literal, prose, withValues } from '../../../tools/man/roff.ts';
import { programText, withInner } from '../../../tools/reference/commands.ts';
import { configKeys, withInner as withInnerKeys } from '../../../tools/reference/config-keys.ts';

const pages = Object.entries(manualPages());
const commands = withInner(programText());
const pageOf = (path: string): string => manualPages()[`man1/${path.replaceAll(' ', '-')}.1`] ?? '';

test.each([
  ['a backslash', line('a\\b'), 'a\\eb'],
  ['a hyphen', line('--from'), '\\-\\-from'],
  ['quotes', line(`'a' "b" \`c\``), '\\(aqa\\(aq \\(dqb\\(dq \\(gac\\(ga'],
  ['a leading dot', line('.zfs'), '\\&.zfs'],
  ['a leading quote', line("'*/tmp'"), '\\(aq*/tmp\\(aq'],
  ['code in Markdown', prose('as `zfs send -w`.'), 'as \\fBzfs send \\-w\\fR.'],
  ['an option with a value', withValues('-i, --from <base>'), '\\fB\\-i\\fR, \\fB\\-\\-from\\fR \\fIbase\\fR'],
])('%s is escaped', (_what, found, wanted) => expect(found).toBe(wanted));

test('lines as they are keep their indentation, empty lines and leading dots', () => {
  expect(literal(['a:', '  b', '', '.c']).slice(3, -2)).toEqual(['a:', '  b', '.sp', '\\&.c']);
});

describe.each(pages)('%s', (name, text) => {
  const lines = text.split('\n');

  test('has the sections of a manual page, in their order', () => {
    const order =
      'NAME SYNOPSIS DESCRIPTION COMMANDS ARGUMENTS OPTIONS KEYS UNITS NOTES EXIT ENVIRONMENT FILES EXAMPLES SEE';
    const sections = lines.flatMap((one) => /^\.SH "(\w+)/.exec(one)?.[1] ?? []);
    expect(sections).toEqual(order.split(' ').filter((section) => sections.includes(section)));
    expect(sections).toEqual(expect.arrayContaining(['NAME', 'SYNOPSIS', 'DESCRIPTION', 'SEE']));
    expect(lines[0]).toMatch(/^\.TH "[A-Z.\\-]+" "[15]" "" "zpsend [\w.\\-]+" "zpsend Manual"$/);
    expect(lines.slice(4, 5)).toEqual([expect.stringMatching(/^zpsend[\w.\\-]* \\- [^ ].*[^.]$/)]);
    expect(basename(name)).toMatch(/^zpsend[\w.-]*\.[15]$/);
  });

  test('has only known requests and escapes', () => {
    expect(
      lines.filter((one) => /^[.']/.test(one) && !/^\.(TH|SH|SS|TP|PP|RS|RE|nf|fi|sp|br|nh|ad)\b/.test(one)),
    ).toEqual([]);
    expect(lines.filter((one) => /\\(?!-|e|&|\((?:aq|ga|ha|ti|dq)|f[BIR])/.test(one))).toEqual([]);
    expect(lines.filter((one) => /(?<!\\)-/.test(one))).toEqual([]);
    expect(text).not.toContain('undefined');
  });
});

test('each command has a page with all its arguments, options and inner commands', () => {
  for (const { path, arguments: named, options, inner } of commands) {
    const text = pageOf(path);
    const terms = [...named.map(({ term }) => `\\fI${term}\\fR`), ...options.map(({ term }) => withValues(term))];
    expect({ path, lacks: terms.filter((term) => !text.includes(`.TP\n${term}\n`)) }).toEqual({ path, lacks: [] });
    const pagesOfInner = inner.map((one) => line(one.path.replaceAll(' ', '-')));
    expect(pagesOfInner.filter((page) => !text.includes(`.TP\n\\fB${page}\\fR(1)\n`))).toEqual([]);
  }
});

test('zpsend.yaml(5) has every key', () => {
  const text = manualPages()['man5/zpsend.yaml.5'] ?? '';
  const keys = configKeys().flatMap(withInnerKeys);
  const lacks = keys.filter(
    ({ name, path }) => !text.includes(`.TP\n\\fB${name}\\fR\n`) && !text.includes(`.SS "${path}"\n`),
  );
  expect(lacks.map(({ path }) => path)).toEqual([]);
});

const hasGroff = (await execa('groff', ['--version'], { reject: false })).exitCode === 0;
const hasMandoc = (await execa('mandoc', ['-T', 'lint', '/dev/null'], { reject: false })).code !== 'ENOENT';

/** All pages in one folder. */
function writtenPages(): string[] {
  const folder = mkdtempSync(join(tmpdir(), 'zpsend-man-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return pages.map(([name, text]) => {
    const path = join(folder, basename(name));
    writeFileSync(path, text);
    return path;
  });
}

test.runIf(hasGroff)(
  'groff formats all pages without a warning, with options and examples as a shell needs them',
  async () => {
    const { stdout, stderr } = await execa('groff', [
      '-man',
      '-ww',
      '-Tascii',
      '-P-cbou',
      '-rLL=200n',
      ...writtenPages(),
    ]);
    expect(stderr).toBe('');
    expect(stdout).toContain("zpsend send -R --exclude '*/tmp' --snapshots 'daily-*' zones/vm smos-00");
    expect(stdout).toContain('-R, --replicate');
  },
  120_000,
);

test.runIf(hasMandoc)(
  'mandoc finds no error',
  async () => {
    const { stdout } = await execa('mandoc', ['-T', 'lint', '-W', 'error', ...writtenPages()], { reject: false });
    expect(stdout).toBe('');
  },
  120_000,
);
