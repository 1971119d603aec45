import { globSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { logEvents } from '../../../schemas/log-event.ts';

const root = new URL('../../../', import.meta.url);
const files = globSync('{lib,services}/**/*.ts', { cwd: root });
const sources = files.map((file) => readFileSync(new URL(file, root), 'utf8')).join('\n');

test('an event has the form `noun.what-happened`, and is listed once', () => {
  for (const event of logEvents) expect(event).toMatch(/^[a-z]+(-[a-z]+)*\.[a-z]+(-[a-z]+)*$/);
  expect(new Set(logEvents).size).toBe(logEvents.length);
});

test('each event is logged somewhere', () => {
  expect(logEvents.filter((event) => !sources.includes(`'${event}'`))).toEqual([]);
});
