import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadSettings, type Settings } from '../../lib/settings/settings.ts';
import { settingsInWords } from '../../lib/settings/words.ts';
import { ZpsendError } from '../../schemas/errors.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'zpsend-settings-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Settings from a file with this text, and an environment. */
function load(yaml: string, env: NodeJS.ProcessEnv = {}): Settings {
  const path = join(folder, 'zpsend.yaml');
  writeFileSync(path, yaml);
  return loadSettings({ ZPSEND_CONFIG: path, ZPSEND_HOST: 'smos-00', ...env });
}

function refusal(yaml: string, env: NodeJS.ProcessEnv = {}): string {
  try {
    load(yaml, env);
  } catch (error) {
    expect(error).toBeInstanceOf(ZpsendError);
    expect(error).toMatchObject({ code: 'BAD_REQUEST' });
    return ZpsendError.from(error).message;
  }
  throw new Error('it was accepted');
}

describe('a configuration file', () => {
  test.each(['', '# nothing\n', '---\n', '{}'])('%j has every default', (yaml) => {
    expect(load(yaml)).toEqual({
      host: 'smos-00',
      path: join(folder, 'zpsend.yaml'),
      config: {
        receive: {
          maxConcurrent: 4,
          allow: [],
          storeDomains: [],
          holdNewest: true,
          properties: { set: { readonly: 'on' }, exclude: [] },
        },
        send: {
          parallel: 2,
          wire: 'none',
          channel: 'direct',
          store: { maxBytes: 16 * 1024 ** 3, maxAgeHours: 168, replicas: 3 },
          bookmarks: true,
          policies: [],
          reconcileMinutes: 10,
        },
        timing: { lockSeconds: 30, silenceSeconds: 15, patienceSeconds: 120 },
      },
    });
  });

  test('is read whole', () => {
    const { config } = load(`
receive:
  maxConcurrent: 8
  allow:
    - { from: smos-01, into: "zones/backup/smos 01", conflicts: [rollback, rotate] }
    - { from: "*", into: tank }
  properties: { set: { com.sun:auto-snapshot: "false" }, exclude: [mountpoint, sharenfs] }
send:
  parallel: 3
  wire: auto
  bookmarks: false
  policies:
    - dataset: zones/vm        # with descendants, minus exclude
      recursive: true
      exclude: ["zones/vm/*/tmp"]
      to: [smos-00, dr-site-1, dr-2:tank/vm]
      package: replication
timing: { lockSeconds: 10 }
`);
    const to = [{ host: 'smos-00' }, { host: 'dr-site-1' }, { host: 'dr-2', dataset: 'tank/vm' }];
    const policy = { dataset: 'zones/vm', recursive: true, exclude: ['zones/vm/*/tmp'], to, package: 'replication' };
    expect(config.send).toMatchObject({
      ...{ parallel: 3, wire: 'auto', bookmarks: false },
      ...{ policies: [policy], reconcileMinutes: 10 },
    });
    expect(config.receive.allow).toEqual([
      { from: 'smos-01', into: 'zones/backup/smos 01', conflicts: ['rollback', 'rotate'] },
      { from: '*', into: 'tank', conflicts: [] },
    ]);
    expect(config.receive.properties).toEqual({
      set: { 'com.sun:auto-snapshot': 'false' },
      exclude: ['mountpoint', 'sharenfs'],
    });
    expect(config.timing).toEqual({ lockSeconds: 10, silenceSeconds: 15, patienceSeconds: 120 });
  });

  test.each<[string, string, RegExp[]]>([
    ['an unknown key', 'receive: { alow: [] }', [/receive/, /alow/]],
    ['a wrong type', 'receive: { maxConcurrent: many }', [/receive\.maxConcurrent/, /number/, /found "many"/]],
    ['a number out of range', 'timing: { lockSeconds: 0 }', [/timing\.lockSeconds/, />=1/, /found 0/]],
    ['a bad rule', 'receive: { allow: [{ from: a.b, into: tank }] }', [/receive\.allow\.0\.from/, /found "a\.b"/]],
    [
      'a conflict that nobody may allow',
      'receive: { allow: [{ from: a, into: b, conflicts: [refuse] }] }',
      [/conflicts\.0/],
    ],
    [
      'a dataset that is none',
      'receive: { allow: [{ from: a, into: "-rf" }] }',
      [/allow\.0\.into/, /dataset/, /found "-rf"/],
    ],
    [
      'a policy whose target is no host',
      'send: { policies: [{ dataset: a/b, to: [a.b] }] }',
      [/send\.policies\.0\.to\.0/, /HOST:pool\/dataset/, /found "a\.b"/],
    ],
    ['no minutes between looks', 'send: { reconcileMinutes: 0 }', [/send\.reconcileMinutes/, /found 0/]],
    ['half a rule', 'receive: { allow: [{ from: a }] }', [/allow\.0\.into/, /found nothing/]],
    ['a host that is no subject token', 'host: a.b', [/host/, /letters, digits/, /found "a\.b"/]],
    ['a property with a control character', 'receive: { properties: { set: { a: "x\\ny" } } }', [/properties\.set\.a/]],
    ['something else altogether', 'just text', [/\(top\)/, /found "just text"/]],
  ])('with %s is refused with its path, what was found and what is allowed', (_what, yaml, words) => {
    const message = refusal(yaml);
    for (const word of [/zpsend\.yaml/, ...words]) expect(message).toMatch(word);
  });

  test('with several faults tells them all', () => {
    const message = refusal('receive: { maxConcurrent: 0 }\ntiming: { lockSeconds: x }');
    expect(message).toMatch(/receive\.maxConcurrent/);
    expect(message).toMatch(/timing\.lockSeconds/);
  });

  test.each(['a: [', 'a: 1\na: 2', 'receive: {allow: [{from: *, into: tank}]}', 'a: 1\n---\nb: 2'])(
    '%j is not YAML',
    (yaml) => {
      expect(refusal(yaml)).toMatch(/zpsend\.yaml is not YAML/);
    },
  );

  test('that was named and is not there is an error', () => {
    const missing = join(folder, 'missing.yaml');
    expect(() => loadSettings({ ZPSEND_CONFIG: missing, ZPSEND_HOST: 'smos-00' })).toThrow(
      /cannot read .*missing\.yaml/,
    );
  });
});

describe('what the file says of NATS', () => {
  test('is where it is, and who this host is there', () => {
    const nats = { servers: ['nats://a:1', 'b:2'], nkey: '/etc/zpsend/smos-00.nk', inboxPrefix: '_INBOX.smos-00' };
    expect(load(JSON.stringify({ nats })).config.nats).toEqual(nats);
  });

  test.each<[string, RegExp]>([
    ['nats: { sevrer: a }', /nats: Unrecognized key: "sevrer"/],
    ['nats: { nkey: smos-00.nk }', /nats\.nkey: a file is named by its whole path/],
    ['nats: { url: a, servers: [b] }', /nats: url and servers exclude each other/],
    ['nats: { user: a, password: b, passwordFile: /c }', /nats: password and passwordFile exclude/],
    ['nats: { tlsFirst: 1 }', /nats\.tlsFirst/],
  ])('%s is refused with its path', (yaml, words) => expect(refusal(yaml)).toMatch(words));

  test.each([
    'nats: { password: [s3cret] }',
    'nats: { url: "nats://ann:s3cret@a", extra: 1 }',
    'nats: { token: s3cret }\nrecieve: {}',
    'nats: s3cret',
    'nats: { password: "s3cret }\n',
    'nats:\n  password: s3cret\n bad',
  ])('is not shown by the message about a fault: %j', (yaml) => {
    expect(refusal(yaml)).toMatch(/zpsend\.yaml/);
    expect(refusal(yaml)).not.toContain('s3cret');
  });
});

describe('the file lies', () => {
  const [one, two] = [() => join(folder, 'one.yaml'), () => join(folder, 'two.yaml')];
  const from = () => loadSettings({ ZPSEND_HOST: 'smos-00' }, [one(), two()]);

  test('at either place, and what is read is told', () => {
    expect(from()).toMatchObject({ path: undefined, config: { receive: { allow: [] } } });
    writeFileSync(two(), 'receive: { maxConcurrent: 7 }');
    expect(from()).toMatchObject({ path: two(), config: { receive: { maxConcurrent: 7 } } });
  });

  test('not at both, unless one is named', () => {
    writeFileSync(one(), '');
    expect(from).toThrow(/one\.yaml and .*two\.yaml both exist: keep one of them/);
    expect(loadSettings({ ZPSEND_CONFIG: one() }, [one(), two()]).path).toBe(one());
  });
});

test('settings are told in one line', () => {
  const yaml = `
receive: { allow: [{ from: smos-01, into: tank/a, conflicts: [rotate] }, { from: "*", into: b }] }
send: { policies: [{ dataset: a, to: [b] }] }`;
  const words = 'smos-01 into tank/a (rotate), any host into b; 4 receives at once; 1 policy';
  expect(settingsInWords(load(yaml))).toBe(`${join(folder, 'zpsend.yaml')}: ${words}`);
  expect(settingsInWords(loadSettings({}, []))).toBe('no file: no host may write here');
});

describe('units', () => {
  test('are those of the command line, in the file and in the environment', () => {
    const yaml = `
receive: { bwlimit: 50M, holdNewest: no }
send: { bookmarks: off, store: { maxBytes: 1G, maxAgeHours: 2d }, reconcileMinutes: 90s, policies: [{ dataset: a/b, to: c, bwlimit: 8Mbit }] }
timing: { lockSeconds: 2m, silenceSeconds: 20, patienceSeconds: 1h30m }
`;
    const { config } = load(yaml, { ZPSEND_SILENCE_SECONDS: '1m', ZPSEND_BOOKMARKS: 'yes' });
    expect(config.receive).toMatchObject({ bwlimit: 50 * 2 ** 20, holdNewest: false });
    expect(config.send).toMatchObject({
      ...{ bookmarks: true, store: { maxBytes: 2 ** 30, maxAgeHours: 48 }, reconcileMinutes: 1.5 },
      policies: [{ to: [{ host: 'c' }], bwlimit: 1_000_000 }],
    });
    expect(config.timing).toEqual({ lockSeconds: 120, silenceSeconds: 60, patienceSeconds: 5400 });
    expect(load('', { ZPSEND_BWLIMIT: '10MB' }).config.receive.bwlimit).toBe(10 * 2 ** 20);
  });

  test.each<[string, RegExp]>([
    ['receive: { bwlimit: fast }', /receive\.bwlimit: bytes per second, at least 1K, as in 500K, .*; found "fast"/],
    ['receive: { bwlimit: 1 }', /receive\.bwlimit: .*>=1024; found 1$/],
    ['receive: { bwlimit: 100B }', /receive\.bwlimit: .*>=1024; found 100$/],
    ['receive: { holdNewest: perhaps }', /holdNewest: on or off, yes or no, true or false; found "perhaps"/],
    [
      'timing: { lockSeconds: 2 minutes }',
      /lockSeconds: a number of seconds, .*as in 90s, 2m, 1h30m; found "2 minutes"/,
    ],
    ['timing: { lockSeconds: 2h }', /lockSeconds: .*<=3600; found 7200/],
    [
      'send: { policies: [{ dataset: a/b, to: { hots: c } }] }',
      /policies\.0\.to: host: .*, and Unrecognized key: "hots"; found/,
    ],
  ])('%s is refused in words', (yaml, words) => expect(refusal(yaml)).toMatch(words));
});

describe('the environment comes first', () => {
  const yaml = `
host: from-file
receive: { maxConcurrent: 2, allow: [{ from: a, into: tank/a }], holdNewest: false }
send: { parallel: 3, wire: zstd, bookmarks: false }
timing: { lockSeconds: 5, silenceSeconds: 6, patienceSeconds: 7 }
`;

  test('the file’s values stand where a variable is absent or empty', () => {
    const { host, config } = load(yaml, { ZPSEND_HOST: '', ZPSEND_MAX_CONCURRENT: '', ZPSEND_PARALLEL: '' });
    expect(host).toBe('from-file');
    expect(config.receive).toMatchObject({
      ...{ maxConcurrent: 2, holdNewest: false, allow: [{ from: 'a', into: 'tank/a' }] },
    });
    expect(config.send).toMatchObject({ parallel: 3, wire: 'zstd', bookmarks: false });
    expect(config.timing).toEqual({ lockSeconds: 5, silenceSeconds: 6, patienceSeconds: 7 });
  });

  test('a variable wins over the file', () => {
    const { host, config } = load(yaml, {
      ZPSEND_HOST: 'smos-09',
      ZPSEND_MAX_CONCURRENT: '9',
      ZPSEND_ALLOW: 'smos-01=zones/my data:1, *=tank',
      ZPSEND_PARALLEL: '8',
      ZPSEND_BOOKMARKS: 'on',
      ZPSEND_HOLD_NEWEST: 'on',
      ZPSEND_LOCK_SECONDS: '1.5',
      ZPSEND_PATIENCE_SECONDS: '0',
    });
    expect(host).toBe('smos-09');
    expect(config.receive).toMatchObject({ maxConcurrent: 9, holdNewest: true });
    expect(config.send).toMatchObject({ parallel: 8, wire: 'zstd', bookmarks: true });
    expect(config.receive.allow).toEqual([
      { from: 'smos-01', into: 'zones/my data:1', conflicts: [] },
      { from: '*', into: 'tank', conflicts: [] },
    ]);
    expect(config.timing).toEqual({ lockSeconds: 1.5, silenceSeconds: 6, patienceSeconds: 0 });
  });

  test('an empty ZPSEND_ALLOW allows nobody anything', () => {
    expect(load(yaml, { ZPSEND_ALLOW: '' }).config.receive.allow).toEqual([]);
  });

  test.each<[NodeJS.ProcessEnv, RegExp]>([
    [{ ZPSEND_ALLOW: 'smos-01' }, /ZPSEND_ALLOW: "smos-01" is not HOST=DATASET/],
    [{ ZPSEND_ALLOW: 'a.b=tank' }, /ZPSEND_ALLOW/],
    [{ ZPSEND_BOOKMARKS: 'perhaps' }, /ZPSEND_BOOKMARKS: on or off, yes or no, .*found "perhaps"/],
    [{ ZPSEND_BWLIMIT: '10Mb' }, /ZPSEND_BWLIMIT: bytes per second, .*as in 500K, 10M, .*found "10Mb"/],
    [{ ZPSEND_HOLD_NEWEST: '1' }, /ZPSEND_HOLD_NEWEST/],
    [{ ZPSEND_ALLOW: 'smos-01=../etc' }, /ZPSEND_ALLOW/],
    [{ ZPSEND_ALLOW: 'smos-01=tank,b' }, /"b" is not HOST=DATASET/],
    [{ ZPSEND_LOCK_SECONDS: 'soon' }, /ZPSEND_LOCK_SECONDS: .*as in 90s, 2m, 1h30m; found "soon"/],
    [{ ZPSEND_LOCK_SECONDS: '0' }, /ZPSEND_LOCK_SECONDS: .*>=1; found "0"/],
    [{ ZPSEND_MAX_CONCURRENT: '1.5' }, /ZPSEND_MAX_CONCURRENT: .*found "1\.5"/],
    [{ ZPSEND_PARALLEL: '17' }, /ZPSEND_PARALLEL: .*<=16; found "17"/],
    [{ ZPSEND_MAX_CONCURRENT: 'Infinity' }, /ZPSEND_MAX_CONCURRENT/],
    [{ ZPSEND_HOST: 'smos.example' }, /"smos\.example".*ZPSEND_HOST/],
    [{ ZPSEND_HOST: '*' }, /ZPSEND_HOST/],
  ])('%j is refused', (env, words) => expect(refusal('', env)).toMatch(words));
});

test('a host without a name of its own has the machine’s, as one token', () => {
  const { host } = load('', { ZPSEND_HOST: '' });
  expect(host).toMatch(/^[A-Za-z0-9_-]+$/);
});
