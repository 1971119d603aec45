import { globSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { logEventGroups } from '../../../schemas/log-event.ts';

const root = new URL('../../../', import.meta.url);
const files = globSync('{lib,services}/**/*.ts', { cwd: root });
const sources = files.map((file) => readFileSync(new URL(file, root), 'utf8')).join('\n');
const listed = Object.values(logEventGroups).flatMap((group) => Object.entries(group));

test('an event has the form `noun.what-happened`, and is listed once, with a sentence', () => {
  for (const [event] of listed) expect(event).toMatch(/^[a-z]+(-[a-z]+)*\.[a-z]+(-[a-z]+)*$/);
  expect(listed.filter(([, means]) => !/^[A-Z`].+\.$/.test(means))).toEqual([]);
  expect(new Set(listed.map(([event]) => event)).size).toBe(listed.length);
});

test('each event is logged somewhere', () => {
  expect(listed.filter(([event]) => !sources.includes(`'${event}'`))).toEqual([]);
});
