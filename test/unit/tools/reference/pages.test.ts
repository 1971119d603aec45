import { globSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect, test } from 'vitest';
import { exit } from '../../../../cli/exit-codes.ts';
import {
  keyVariables,
  natsVariables,
  otherNatsVariables,
  otherVariables,
  zpsendVariables,
} from '../../../../schemas/environment.ts';
import { codes } from '../../../../schemas/error-codes.ts';
import { type Code, reasonsOf } from '../../../../schemas/errors.ts';
import { logEventGroups } from '../../../../schemas/log-event.ts';
import { commandLinePage } from '../../../../tools/reference/command-line.ts';
import { programText, withInner } from '../../../../tools/reference/commands.ts';
import { environmentPage } from '../../../../tools/reference/environment.ts';
import { errorsPage } from '../../../../tools/reference/errors.ts';
import { eventsPage } from '../../../../tools/reference/events.ts';
import { exitCodesPage } from '../../../../tools/reference/exit-codes.ts';
import { pages } from '../../../../tools/reference/main.ts';

const root = resolve(import.meta.dirname, '../../../..');

test.each(Object.entries(pages))('%s is what the code says', (path, page) => {
  expect(readFileSync(resolve(root, path), 'utf8')).toBe(page());
});

test.each(Object.entries(pages))('%s has no empty text, and no value that is undefined', (_path, page) => {
  expect(page()).not.toMatch(/undefined|\[object|# *$|[ \t]+$/m);
});

test('errors.md has every code with its reasons', () => {
  const page = errorsPage();
  for (const code of Object.keys(codes) as Code[]) {
    expect(page).toContain(`\n## ${code}\n`);
    for (const reason of Object.keys(reasonsOf(code))) expect(page).toContain(`- \`${reason}\`: `);
  }
});

test('command-line.md has every command, argument and option', () => {
  const page = commandLinePage();
  for (const command of withInner(programText())) {
    const [, section = ''] = page.split(`\n## ${command.path}\n`);
    const [own = ''] = section.split('\n## ');
    const terms = [...command.arguments, ...command.options].map(({ term }) => term);
    expect({ path: command.path, lacks: terms.filter((term) => !own.includes(`| \`${term}\` |`)) }).toEqual({
      path: command.path,
      lacks: [],
    });
  }
});

test('events.md has every event of the log', () => {
  const page = eventsPage();
  const events = Object.values(logEventGroups).flatMap((group) => Object.keys(group));
  expect(events.filter((event) => !page.includes(`| \`${event}\` |`))).toEqual([]);
});

test('exit-codes.md has every exit status', () => {
  const page = exitCodesPage();
  expect(Object.values(exit).filter((status) => !page.includes(`| \`${status}\` |`))).toEqual([]);
});

const tables = { ...zpsendVariables, ...keyVariables, ...natsVariables, ...otherNatsVariables, ...otherVariables };

test('environment.md has every variable that the code names, and no other', () => {
  const page = environmentPage();
  const files = globSync('{bin,cli,lib,services}/**/*.ts', { cwd: root });
  const sources = files.map((file) => readFileSync(resolve(root, file), 'utf8'));
  const named = new Set(sources.flatMap((text) => text.match(/\b(?:ZPSEND|NATS)_[A-Z_]*[A-Z]\b/g) ?? []));
  expect([...named].filter((name) => !(name in tables))).toEqual([]);
  expect(Object.keys(tables).filter((name) => !page.includes(`| \`${name}\` |`))).toEqual([]);
  // NATS_SERVER_BIN is read by tools/nats-server, and those of the two maps are read through them
  const mapped: object = { ...keyVariables, ...natsVariables, ...otherVariables };
  expect(Object.keys(tables).filter((name) => !named.has(name) && !(name in mapped))).toEqual([]);
});
