import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadSettings, type Settings, settingsSummary } from '../../../../lib/settings/settings.ts';
import { ZpsendError } from '../../../../schemas/errors.ts';
import { mentions } from '../../../support/mentions.ts';

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

function refused(yaml: string, env: NodeJS.ProcessEnv = {}): ZpsendError {
  try {
    load(yaml, env);
  } catch (error) {
    expect(error).toBeInstanceOf(ZpsendError);
    expect(error).toMatchObject({ code: 'BAD_REQUEST' });
    return ZpsendError.from(error);
  }
  throw new Error('it was accepted');
}
const refusal = (yaml: string, env: NodeJS.ProcessEnv = {}): string => refused(yaml, env).message;

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
          compression: 'none',
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
  compression: auto
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
      ...{ parallel: 3, compression: 'auto', bookmarks: false },
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

  test.each<[string, string, (string | number)[]]>([
    ['an unknown key', 'receive: { alow: [] }', ['receive', '"alow"', 'did you mean allow?']],
    ['a wrong type', 'receive: { maxConcurrent: many }', ['receive.maxConcurrent', 'number', '"many"']],
    ['a number out of range', 'timing: { lockSeconds: 0 }', ['timing.lockSeconds', '>=1', 0]],
    ['a bad rule', 'receive: { allow: [{ from: a.b, into: tank }] }', ['receive.allow.0.from', '"a.b"']],
    [
      'a conflict policy that cannot be allowed',
      'receive: { allow: [{ from: a, into: b, conflicts: [refuse] }] }',
      ['receive.allow.0.conflicts.0'],
    ],
    ['a dataset that is none', 'receive: { allow: [{ from: a, into: "-rf" }] }', ['receive.allow.0.into', '"-rf"']],
    [
      'a policy whose target is no host',
      'send: { policies: [{ dataset: a/b, to: [a.b] }] }',
      ['send.policies.0.to.0', 'HOST:pool/dataset', '"a.b"'],
    ],
    ['no minutes between looks', 'send: { reconcileMinutes: 0 }', ['send.reconcileMinutes', 0]],
    ['half a rule', 'receive: { allow: [{ from: a }] }', ['receive.allow.0.into']],
    ['a host that is no subject token', 'host: a.b', ['host', '"a.b"']],
    [
      'a property with a control character',
      'receive: { properties: { set: { a: "x\\ny" } } }',
      ['receive.properties.set.a'],
    ],
    ['something else altogether', 'just text', ['(top)', '"just text"']],
  ])('with %s is refused with its path, the found value and the allowed ones', (_what, yaml, facts) => {
    expect(refusal(yaml)).toEqual(mentions(join(folder, 'zpsend.yaml'), ...facts));
  });

  test('with several faults reports them all', () => {
    const message = refusal('receive: { maxConcurrent: 0 }\ntiming: { lockSeconds: x }');
    expect(message).toEqual(mentions('receive.maxConcurrent', 'timing.lockSeconds'));
  });

  test.each(['a: [', 'a: 1\na: 2', 'receive: {allow: [{from: *, into: tank}]}', 'a: 1\n---\nb: 2'])(
    '%j is not YAML',
    (yaml) => {
      expect(refused(yaml).details).toEqual({ file: join(folder, 'zpsend.yaml'), reason: 'not-yaml' });
    },
  );

  test('that was named and is not there is an error', () => {
    const missing = join(folder, 'missing.yaml');
    expect(() => loadSettings({ ZPSEND_CONFIG: missing, ZPSEND_HOST: 'smos-00' })).toThrow(
      expect.objectContaining({ code: 'BAD_REQUEST', message: mentions(missing, 'ENOENT') }),
    );
  });
});

describe('the NATS section of the file', () => {
  test('has the server, and this host’s name and user', () => {
    const nats = { servers: ['nats://a:1', 'b:2'], nkey: '/etc/zpsend/smos-00.nk', inboxPrefix: '_INBOX.smos-00' };
    expect(load(JSON.stringify({ nats })).config.nats).toEqual(nats);
  });

  test.each<[string, string[]]>([
    ['nats: { sevrer: a }', ['nats', '"sevrer"']],
    ['nats: { nkey: smos-00.nk }', ['nats.nkey']],
    ['nats: { url: a, servers: [b] }', ['nats', 'url', 'servers']],
    ['nats: { user: a, password: b, passwordFile: /c }', ['nats', 'password', 'passwordFile']],
    ['nats: { tlsFirst: 1 }', ['nats.tlsFirst']],
  ])('%s is refused with its path', (yaml, facts) => expect(refusal(yaml)).toEqual(mentions(...facts)));

  test.each([
    'nats: { password: [s3cret] }',
    'nats: { url: "nats://ann:s3cret@a", extra: 1 }',
    'nats: { token: s3cret }\nrecieve: {}',
    'nats: s3cret',
    'nats: { password: "s3cret }\n',
    'nats:\n  password: s3cret\n bad',
  ])('is not shown by the message about a fault: %j', (yaml) => {
    expect(refusal(yaml)).toEqual(mentions(join(folder, 'zpsend.yaml')));
    expect(refusal(yaml)).not.toContain('s3cret');
  });
});

describe('the path of the file', () => {
  const [one, two] = [() => join(folder, 'one.yaml'), () => join(folder, 'two.yaml')];
  const from = () => loadSettings({ ZPSEND_HOST: 'smos-00' }, [one(), two()]);

  test('is one of two, and the result has the path', () => {
    expect(from()).toMatchObject({ path: undefined, config: { receive: { allow: [] } } });
    writeFileSync(two(), 'receive: { maxConcurrent: 7 }');
    expect(from()).toMatchObject({ path: two(), config: { receive: { maxConcurrent: 7 } } });
  });

  test('is ambiguous if both exist, unless one is named', () => {
    writeFileSync(one(), '');
    expect(from).toThrow(
      expect.objectContaining({ code: 'BAD_REQUEST', message: mentions(one(), two(), 'ZPSEND_CONFIG') }),
    );
    expect(loadSettings({ ZPSEND_CONFIG: one() }, [one(), two()]).path).toBe(one());
  });
});

test('settings have a summary of one line', () => {
  const yaml = `
receive: { allow: [{ from: smos-01, into: tank/a, conflicts: [rotate] }, { from: "*", into: b }] }
send: { policies: [{ dataset: a, to: [b] }] }`;
  const words = 'smos-01 into tank/a (rotate), any host into b; 4 receives at once; 1 policy';
  expect(settingsSummary(load(yaml))).toBe(`${join(folder, 'zpsend.yaml')}: ${words}`);
  expect(settingsSummary(loadSettings({}, []))).toBe('no file: no host may write here');
});

describe('the units of values', () => {
  test('are the command line’s, in the file and in the environment', () => {
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

  test.each<[string, (string | number)[]]>([
    ['receive: { bwlimit: fast }', ['receive.bwlimit', '1K', 'Mbit', '500K', '"fast"']],
    ['receive: { bwlimit: 1 }', ['receive.bwlimit', '>=1024', 1]],
    ['receive: { bwlimit: 100B }', ['receive.bwlimit', '>=1024', 100]],
    ['receive: { holdNewest: perhaps }', ['receive.holdNewest', 'on', 'off', '"perhaps"']],
    ['timing: { lockSeconds: 2 minutes }', ['timing.lockSeconds', 's, m, h or d', '90s', '1h30m', '"2 minutes"']],
    ['send: { store: { maxBytes: 1X } }', ['send.store.maxBytes', 'K, M, G, T or P', '"1X"']],
    ['timing: { lockSeconds: 2h }', ['timing.lockSeconds', '<=3600', 7200]],
    ['send: { policies: [{ dataset: a/b, to: { hots: c } }] }', ['send.policies.0.to', 'host', '"hots"']],
  ])('%s is refused in words', (yaml, facts) => expect(refusal(yaml)).toEqual(mentions(...facts)));
});

describe('the environment overrides the file', () => {
  const yaml = `
host: from-file
receive: { maxConcurrent: 2, allow: [{ from: a, into: tank/a }], holdNewest: false }
send: { parallel: 3, compression: zstd, bookmarks: false }
timing: { lockSeconds: 5, silenceSeconds: 6, patienceSeconds: 7 }
`;

  test('the file’s values are kept if a variable is absent or empty', () => {
    const { host, config } = load(yaml, { ZPSEND_HOST: '', ZPSEND_MAX_CONCURRENT: '', ZPSEND_PARALLEL: '' });
    expect(host).toBe('from-file');
    expect(config.receive).toMatchObject({
      ...{ maxConcurrent: 2, holdNewest: false, allow: [{ from: 'a', into: 'tank/a' }] },
    });
    expect(config.send).toMatchObject({ parallel: 3, compression: 'zstd', bookmarks: false });
    expect(config.timing).toEqual({ lockSeconds: 5, silenceSeconds: 6, patienceSeconds: 7 });
  });

  test('a variable overrides the file', () => {
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
    expect(config.send).toMatchObject({ parallel: 8, compression: 'zstd', bookmarks: true });
    expect(config.receive.allow).toEqual([
      { from: 'smos-01', into: 'zones/my data:1', conflicts: [] },
      { from: '*', into: 'tank', conflicts: [] },
    ]);
    expect(config.timing).toEqual({ lockSeconds: 1.5, silenceSeconds: 6, patienceSeconds: 0 });
  });

  test('an empty ZPSEND_ALLOW allows nothing', () => {
    expect(load(yaml, { ZPSEND_ALLOW: '' }).config.receive.allow).toEqual([]);
  });

  test.each<[NodeJS.ProcessEnv, string[]]>([
    [{ ZPSEND_ALLOW: 'smos-01' }, ['ZPSEND_ALLOW', '"smos-01"', 'HOST=DATASET']],
    [{ ZPSEND_ALLOW: 'a.b=tank' }, ['ZPSEND_ALLOW']],
    [{ ZPSEND_BOOKMARKS: 'perhaps' }, ['ZPSEND_BOOKMARKS', 'on', 'off', '"perhaps"']],
    [{ ZPSEND_BWLIMIT: '10Mb' }, ['ZPSEND_BWLIMIT', '500K', '10M', '"10Mb"']],
    [{ ZPSEND_HOLD_NEWEST: '1' }, ['ZPSEND_HOLD_NEWEST']],
    [{ ZPSEND_ALLOW: 'smos-01=../etc' }, ['ZPSEND_ALLOW']],
    [{ ZPSEND_ALLOW: 'smos-01=tank,b' }, ['"b"', 'HOST=DATASET']],
    [{ ZPSEND_LOCK_SECONDS: 'soon' }, ['ZPSEND_LOCK_SECONDS', '90s', '1h30m', '"soon"']],
    [{ ZPSEND_LOCK_SECONDS: '0' }, ['ZPSEND_LOCK_SECONDS', '>=1', '"0"']],
    [{ ZPSEND_MAX_CONCURRENT: '1.5' }, ['ZPSEND_MAX_CONCURRENT', '"1.5"']],
    [{ ZPSEND_PARALLEL: '17' }, ['ZPSEND_PARALLEL', '<=16', '"17"']],
    [{ ZPSEND_MAX_CONCURRENT: 'Infinity' }, ['ZPSEND_MAX_CONCURRENT']],
    [{ ZPSEND_HOST: 'smos.example' }, ['"smos.example"', 'ZPSEND_HOST']],
    [{ ZPSEND_HOST: '*' }, ['ZPSEND_HOST']],
  ])('%j is refused', (env, facts) => expect(refusal('', env)).toEqual(mentions(...facts)));
});

test('a host without a configured name has the machine’s, as one token', () => {
  const { host } = load('', { ZPSEND_HOST: '' });
  expect(host).toMatch(/^[A-Za-z0-9_-]+$/);
});
