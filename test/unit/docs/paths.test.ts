import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';

const root = join(import.meta.dirname, '../../..');
const sources = 'bench bin cli deploy docs lib schemas services test tools'.split(' ');
const files = globSync(`{${sources.join()}}/**/*.{ts,cjs,md}`, { cwd: root, exclude: ['**/node_modules'] });
const pages = [...globSync('*.md', { cwd: root }), ...files.filter((file) => file.endsWith('.md'))];

/** Is it written as a path of this repository, or as the name of one of its files? */
const isPath = (text: string): boolean =>
  /^[\w./-]+$/.test(text) && (sources.some((folder) => text.startsWith(`${folder}/`)) || /[a-z]\.(ts|cjs)$/.test(text));

/** A page may name what lies in its own folder, and a file without its folders. */
const isThere = (path: string, folder: string): boolean =>
  existsSync(join(root, path)) ||
  existsSync(join(root, folder, path)) ||
  (!path.endsWith('/') && files.some((file) => `/${file}`.endsWith(`/${path}`)));

const pathsIn = (text: string): string[] =>
  [...text.matchAll(/`([^`\n]+)`/g)].map(([, quoted = '']) => quoted).filter(isPath);

const missingIn = (text: string, page: string): string[] =>
  pathsIn(text).filter((path) => !isThere(path, dirname(page)));

test('a path that is not there is found, with its folders or without', () => {
  const page =
    'see `lib/bus/subjects.ts`, `lib/plan/`, `rows.ts`, `zfs send`, `tank/data`; `lib/bus/gone.ts`, `cli/gone/`, `gone.ts`';
  expect(missingIn(page, 'README.md')).toEqual(['lib/bus/gone.ts', 'cli/gone/', 'gone.ts']);
});

test.each(pages)('%s names only files and folders that are there', (page) => {
  const text = readFileSync(join(root, page), 'utf8');
  expect(missingIn(text, page)).toEqual([]);
  const links = [...text.matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)].map(([, link = '']) => link);
  expect(links.filter((link) => !existsSync(join(root, dirname(page), link)))).toEqual([]);
});

/** The anchors of a page, as GitHub makes them of its headings. */
function anchorsOf(page: string): Set<string> {
  const anchors = new Set<string>();
  const text = readFileSync(join(root, page), 'utf8').replace(/^ *```[\s\S]*?^ *```$/gm, '');
  for (const [, heading = ''] of text.matchAll(/^#+ (.*)$/gm)) {
    const plain = heading.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1').toLowerCase();
    const anchor = plain.replace(/[^\p{L}\p{N}\s_-]/gu, '').replaceAll(' ', '-');
    let name = anchor;
    for (let count = 1; anchors.has(name); count++) name = `${anchor}-${count}`;
    anchors.add(name);
  }
  return anchors;
}

test.each(pages)('%s links only to headings that are there', (page) => {
  const links = [...readFileSync(join(root, page), 'utf8').matchAll(/\]\(([^)#:]*)#([^)]+)\)/g)];
  const missing = links.filter(([, file = '', anchor = '']) => {
    const target = file === '' ? page : join(dirname(page), file);
    return target.endsWith('.md') && !anchorsOf(target).has(anchor);
  });
  expect(missing.map(([link]) => link)).toEqual([]);
});

const linksIn = (page: string): string[] =>
  [...readFileSync(join(root, page), 'utf8').matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)].map(([, link = '']) =>
    join(dirname(page), link),
  );

test('every page can be reached by links from README.md', () => {
  const reached = new Set(['README.md']);
  for (const page of reached) {
    for (const link of linksIn(page)) {
      const target = existsSync(join(root, link, 'README.md')) ? join(link, 'README.md') : link;
      if (pages.includes(target)) reached.add(target);
    }
  }
  expect(pages.filter((page) => !reached.has(page))).toEqual([]);
});

test('ARCHITECTURE.md is one page, and names the files where one enters', () => {
  const lines = readFileSync(join(root, 'ARCHITECTURE.md'), 'utf8').split('\n');
  expect(lines.length).toBeLessThanOrEqual(125);
  // a row of the invariants cannot be broken
  expect(lines.filter((line) => line.length > 140 && !/^\| I\d/.test(line))).toEqual([]);
  expect(pathsIn(lines.join('\n')).length).toBeGreaterThan(80);
});

test('ARCHITECTURE.md names functions that are in the files named beside them', () => {
  const text = readFileSync(join(root, 'ARCHITECTURE.md'), 'utf8');
  const named = [...text.matchAll(/`([\w./-]+[.]ts)` \(`(\w+)`\)/g)];
  expect(named.length).toBeGreaterThan(1);
  for (const [, file = '', name = ''] of named)
    expect([file, readFileSync(join(root, file), 'utf8').includes(`function ${name}(`)]).toEqual([file, true]);
});

test('ARCHITECTURE.md shows the floors that npm run check holds, in their order', () => {
  const rules = readFileSync(join(root, '.dependency-cruiser.cjs'), 'utf8');
  const held = [...rules.matchAll(/^ {2}'([\w/]+\/)':\s*((?:'[^']+'[\s+]*)+)/gm)].map(([, folder, names = '']) => [
    folder,
    names
      .replace(/['+\s]+/g, ' ')
      .trim()
      .replace(/\/(?= |$)/g, ''),
  ]);
  expect(held.length).toBeGreaterThan(3);
  const [, section = ''] = readFileSync(join(root, 'ARCHITECTURE.md'), 'utf8').split('Floors inside');
  const rows = [...section.matchAll(/^\| `([^`]+)`[^|]*\| ([^|`]+) \|$/gm)];
  const shown = Map.groupBy(rows, ([, folder = '']) => folder);
  expect(new Map([...shown].map(([folder, each]) => [folder, each.map(([, , names]) => names).join(' ')]))).toEqual(
    new Map(held as [string, string][]),
  );
});
