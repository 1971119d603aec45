import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { afterReload, changedKeys, changedVariables, takesEffect } from '../../../../lib/settings/reload.ts';
import { loadSettings, type Settings, settingVariables } from '../../../../lib/settings/settings.ts';
import { type Config, configSchema } from '../../../../schemas/config.ts';

const settingsOf = (config: z.input<typeof configSchema> = {}, host = 'smos-00'): Settings => ({
  ...{ host, path: '/etc/zpsend.yaml', config: configSchema.parse(config) },
  ...(config.machineId !== undefined && { machineId: config.machineId }),
});

/** A value of each setting that is not the default. */
const others: Record<keyof typeof takesEffect, Settings> = {
  host: settingsOf({ host: 'smos-01' }, 'smos-01'),
  machineId: settingsOf({ machineId: 'other' }),
  nats: settingsOf({ nats: { url: 'nats://other' } }),
  'receive.maxConcurrent': settingsOf({ receive: { maxConcurrent: 5 } }),
  'receive.allow': settingsOf({ receive: { allow: [{ from: 'a', into: 'tank' }] } }),
  'receive.bwlimit': settingsOf({ receive: { bwlimit: '1M' } }),
  'receive.storeDomains': settingsOf({ receive: { storeDomains: ['hub'] } }),
  'receive.holdNewest': settingsOf({ receive: { holdNewest: false } }),
  'receive.properties': settingsOf({ receive: { properties: { exclude: ['compression'] } } }),
  'send.allow': settingsOf({ send: { allow: [] } }),
  'send.parallel': settingsOf({ send: { parallel: 3 } }),
  'send.compression': settingsOf({ send: { compression: 'zstd' } }),
  'send.channel': settingsOf({ send: { channel: 'auto' } }),
  'send.store': settingsOf({ send: { store: { replicas: 1 } } }),
  'send.bookmarks': settingsOf({ send: { bookmarks: false } }),
  'send.policies': settingsOf({ send: { policies: [{ dataset: 'tank/a', to: 'b' }] } }),
  'send.reconcileMinutes': settingsOf({ send: { reconcileMinutes: 1 } }),
  'timing.lockSeconds': settingsOf({ timing: { lockSeconds: 4 } }),
  'timing.silenceSeconds': settingsOf({ timing: { silenceSeconds: 4 } }),
  'timing.patienceSeconds': settingsOf({ timing: { patienceSeconds: 4 } }),
};

/** The keys of the schema, below its sections. */
function pathsOf(schema: z.ZodType, path = ''): string[] {
  let inner: unknown = schema;
  while (inner instanceof z.ZodPrefault || inner instanceof z.ZodDefault || inner instanceof z.ZodPipe)
    inner = inner instanceof z.ZodPipe ? inner.out : inner.unwrap();
  const isSection = inner instanceof z.ZodObject && path.split('.').length < 2;
  if (!isSection || !(inner instanceof z.ZodObject)) return [path];
  return Object.entries(inner.shape).flatMap(([key, one]) => pathsOf(one, path === '' ? key : `${path}.${key}`));
}

test('every key of the configuration takes effect at once, or after a restart', () => {
  expect(Object.keys(takesEffect).sort()).toEqual(pathsOf(configSchema).sort());
});

describe.each(Object.entries(others))('%s', (path, after) => {
  const before = settingsOf();
  test('is the only difference', () => {
    expect(changedKeys(before, after)).toEqual([path]);
    expect(changedKeys(after, after)).toEqual([]);
  });

  test('is in force at once, or keeps its value and is named', () => {
    const isAtOnce = takesEffect[path as keyof typeof takesEffect] === 'at once';
    const [changed, needsRestart] = isAtOnce ? [[path], []] : [[], [path]];
    expect(afterReload(before, after)).toMatchObject({ changed, needsRestart });
    expect(changedKeys(afterReload(before, after).settings, isAtOnce ? after : before)).toEqual([]);
  });
});

test('of many differences those that need a restart keep their values, and are named at each reload', () => {
  const before = settingsOf({ timing: { lockSeconds: 10 }, nats: { url: 'nats://a' } });
  const after = settingsOf({ timing: { lockSeconds: 20, silenceSeconds: 5 }, send: { parallel: 7 } });
  const first = afterReload(before, after);
  expect(first).toMatchObject({
    changed: ['send.parallel', 'timing.silenceSeconds'],
    needsRestart: ['nats', 'timing.lockSeconds'],
    settings: { config: { timing: { lockSeconds: 10, silenceSeconds: 5 }, nats: { url: 'nats://a' } } },
  });
  const second = afterReload(first.settings, after);
  expect(second).toMatchObject({ changed: [], needsRestart: ['nats', 'timing.lockSeconds'] });
  expect(afterReload(second.settings, before)).toMatchObject({ needsRestart: [] });
});

test('an equal value in another form is no difference', () => {
  const [seconds, minutes] = ['120', '2m'].map((patienceSeconds) => settingsOf({ timing: { patienceSeconds } }));
  expect(seconds && minutes && changedKeys(seconds, minutes)).toEqual([]);
});

describe('variables of the environment', () => {
  test('that replace settings are all known', () => {
    const read = new Set<string>();
    const env = new Proxy<NodeJS.ProcessEnv>({}, { get: (_, name) => void read.add(String(name)) });
    loadSettings(env, []);
    expect([...read].sort()).toEqual([...settingVariables].sort());
  });

  test('of the connection and of the log need a restart; settings, and what is not of zpsend, do not count', () => {
    const before = {
      NATS_URL: 'a',
      NATS_NKEY: '/k',
      ZPSEND_LOG: 'json',
      ZPSEND_ALLOW: 'a=b',
      PATH: '/bin',
      NATS_CA: '',
    };
    const after = { NATS_URL: 'b', ZPSEND_LOG: 'people', ZPSEND_INBOX_PREFIX: 'x', ZPSEND_ALLOW: 'c=d', HOME: '/' };
    expect(changedVariables(before, after)).toEqual(['NATS_NKEY', 'NATS_URL', 'ZPSEND_INBOX_PREFIX', 'ZPSEND_LOG']);
    expect(changedVariables(before, before)).toEqual([]);
  });
});

const sections: (keyof Config)[] = ['receive', 'send', 'timing'];
test('the sections are those of the schema', () => {
  const found = new Set(Object.keys(takesEffect).flatMap((path) => (path.includes('.') ? path.split('.', 1) : [])));
  expect([...found]).toEqual(sections);
});
