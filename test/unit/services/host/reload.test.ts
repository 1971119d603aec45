import { writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { loadSettings } from '../../../../lib/settings/settings.ts';
import { ZpsendError } from '../../../../schemas/errors.ts';
import type { Log } from '../../../../services/host/log.ts';
import { type ReloadDeps, reload } from '../../../../services/host/reload.ts';
import { configured } from '../../../support/configured.ts';
import { mentions } from '../../../support/mentions.ts';

/** A service that has started with this file. */
function started(yaml: string, check: ReloadDeps['check'] = () => {}) {
  const env: NodeJS.ProcessEnv = { ...configured(yaml), ZPSEND_HOST: 'smos-00' };
  const lines: unknown[][] = [];
  const write = (...line: unknown[]) => void lines.push(line);
  const log: Log = { debug: write, info: write, warn: write, error: write, child: () => log };
  let settings = loadSettings(env);
  return {
    lines,
    write: (text: string) => writeFileSync(env.ZPSEND_CONFIG ?? '', text),
    read(more: NodeJS.ProcessEnv = {}) {
      const before = settings;
      settings = reload({ env, readEnv: () => ({ ...env, ...more }), check, log }, settings);
      return { settings, isSame: settings === before };
    },
  };
}

test('a changed file is in force, and the log names the changed settings', () => {
  const { lines, write, read } = started('receive: { maxConcurrent: 2 }');
  write('{ receive: { maxConcurrent: 3 }, send: { parallel: 4 } }');
  expect(read().settings.config).toMatchObject({ receive: { maxConcurrent: 3 }, send: { parallel: 4 } });
  const settings = ['receive.maxConcurrent', 'send.parallel'];
  expect(lines).toEqual([['settings.changed', mentions(...settings), { settings }]]);
});

test('an unchanged file is a line of its own', () => {
  const { lines, read } = started('receive: { maxConcurrent: 2 }');
  read();
  expect(lines.map(([event]) => event)).toEqual(['settings.unchanged']);
});

test('a setting or a variable that needs a restart is a warning each time, and its value is not shown', () => {
  const { lines, write, read } = started('timing: { lockSeconds: 10 }');
  write('{ timing: { lockSeconds: 20 }, nats: { password: secret, user: u }, send: { parallel: 4 } }');
  const more = { NATS_PASSWORD: 'secret' };
  expect(read(more).settings.config).toMatchObject({ timing: { lockSeconds: 10 }, send: { parallel: 4 } });
  read(more);
  const settings = ['nats', 'timing.lockSeconds', 'NATS_PASSWORD'];
  expect(lines.map(([event, , fields]) => [event, fields])).toEqual([
    ['settings.changed', { settings: ['send.parallel'] }],
    ['settings.need-restart', { settings }],
    ['settings.need-restart', { settings }],
  ]);
  expect(JSON.stringify(lines)).not.toContain('secret');
});

test.each([
  ['no YAML', 'receive: ['],
  ['an unknown key', 'receives: {}'],
  ['a bad value', 'send: { parallel: -1 }'],
])('a file with %s is refused with its code, and the settings stay', (_what, text) => {
  const { lines, write, read } = started('send: { parallel: 3 }');
  write(text);
  expect(read().isSame).toBe(true);
  expect(lines).toEqual([['settings.refused', expect.not.stringContaining('\n'), { code: 'BAD_REQUEST' }]]);
});

test('what the service itself refuses is refused, and so is a variable', () => {
  const { lines, write, read } = started('send: { parallel: 3 }', ({ config }) => {
    if (config.send.parallel === 5) throw new ZpsendError('BAD_REQUEST', 'not five');
  });
  write('send: { parallel: 5 }');
  expect(read().isSame).toBe(true);
  write('send: { parallel: 4 }');
  expect(read({ ZPSEND_PARALLEL: 'x' }).isSame).toBe(true);
  expect(read().isSame).toBe(false);
  expect(lines.map(([event]) => event)).toEqual(['settings.refused', 'settings.refused', 'settings.changed']);
});
