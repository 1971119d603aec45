import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { errorReplySchema } from '../../../schemas/errors.ts';
import { configOutputSchema } from '../../../schemas/output.ts';
import { planReplySchema } from '../../../schemas/plan.ts';
import { codesOf, mentions } from '../../support/mentions.ts';
import { program } from '../../support/program.ts';

const inventory = fileURLToPath(new URL('../../fixtures/inventories/zones-test.json', import.meta.url));
let folder = '';

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'zpsend-cli-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Without NATS: port 1 refuses at once. */
const zpsend = (...args: string[]) =>
  execa(process.execPath, [program, ...args], {
    reject: false,
    env: { NATS_URL: 'nats://127.0.0.1:1', ZPSEND_HOST: 'smos-01', NATS_CONTEXT: '' },
  });

const file = (name: string, text: string): string => {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
};

const listing = (host: string, datasets: object[] = []) => ({ host, datasets });

describe('zpsend plan --inventory', () => {
  it('plans without NATS, as a table', async () => {
    const { stdout, exitCode } = await zpsend('plan', '--inventory', inventory, 'zones/test');
    expect(stdout.split('\n').slice(0, 3)).toEqual([
      'TYPE  SNAPSHOT          INCREMENTAL FROM   SIZE  TARGET',
      'full  zones/test@now    -                   23K  zones/test',
      'incr  zones/test@now2   zones/test@now       1K  zones/test',
    ]);
    expect(exitCode).toBe(0);
  });

  it('prints the plan and nothing else with --json', async () => {
    const { stdout, stderr } = await zpsend(
      'plan',
      '--json',
      '--inventory',
      inventory,
      'smos-01:zones/test@8550',
      'smos-00',
    );
    expect(planReplySchema.parse(JSON.parse(stdout)).plan).toMatchObject({ ok: true, steps: [{}, {}, {}] });
    expect(stderr).toBe('');
  });

  it('reports a refusal with exit status 1', async () => {
    const { stdout, stderr, exitCode } = await zpsend('plan', '--inventory', inventory, 'zones/none');
    expect([stdout, exitCode]).toEqual(['', 1]);
    expect(codesOf(stderr)).toEqual(['NO_SUCH_DATASET']);
    expect(stderr).toEqual(mentions('smos-01', 'zones/none'));
  });

  it.each([
    ['one that is missing', () => join(folder, 'none.json'), ['ENOENT']],
    ['one that is cut off', () => file('cut.json', '{"version":1,"source":{'), ['JSON']],
    ['one of a newer version', () => file('new.json', '{"version":2,"sides":[]}'), [2, 1]],
    [
      'one with a mistake, whose place it names',
      () => {
        const broken = listing('smos-01', [{ name: 'zones/test', snapshots: [{ name: 'a', guid: 7 }] }]);
        return file('broken.json', JSON.stringify({ version: 1, source: broken, target: listing('smos-00') }));
      },
      ['source.datasets[0]'],
    ],
  ])('refuses a bad file with exit status 2: %s', async (_, path, facts) => {
    const { stderr, exitCode } = await zpsend('plan', '--inventory', path(), 'zones/test');
    expect(codesOf(stderr)).toEqual(['BAD_REQUEST']);
    expect(stderr).toEqual(mentions(path(), ...facts));
    expect(exitCode).toBe(2);
  });

  it('refuses a source host that the file does not list', async () => {
    const { stderr, exitCode } = await zpsend('plan', '--inventory', inventory, 'other:zones/test');
    expect([codesOf(stderr), stderr, exitCode]).toEqual([['BAD_REQUEST'], mentions('smos-01', 'other'), 2]);
  });
});

describe('wrong usage', () => {
  it.each([
    [['frobnicate'], ["'frobnicate'"]],
    [['send', 'zones/test'], ["'target'"]],
    [['send', '--frob', 'zones/test', 'smos-00'], ["'--frob'"]],
    [
      ['send', '-I', '@a', 'zones/test', 'smos-00'],
      ['-i', 'zpsend send --help'],
    ],
    [
      ['verify', '-n', 'zones/test', 'smos-00'],
      ['zpsend plan', 'zpsend verify --help'],
    ],
    [
      ['help', 'unit'],
      ['"unit"', 'units'],
    ],
    [
      ['recv', 'zones/test'],
      ["'recv'", 'zpsend receiver', 'zpsend --help'],
    ],
    [
      ['zones/test', 'smos-00'],
      ["'zones/test'", 'zpsend send zones/test'],
    ],
    [
      ['send', '-r', 'zones/test', 'smos-00'],
      ['-R', 'zones/test@snapshot'],
    ],
    [['send', '-F', 'zones/test', 'smos-00'], ['--conflict']],
    [['send', 'zones/$(reboot)', 'smos-00'], ['zones/$(reboot)']],
    [
      ['send', '-i', '@a', '--full', 'zones/test@b', 'smos-00'],
      ['--full', '-i @a'],
    ],
    [
      ['plan', '-Rr', 'zones/test@b', 'smos-00'],
      ['-R', '-r'],
    ],
    [
      ['send', '-Rc', '--parallel', '99', 'zones/test', 'smos-00'],
      ['--parallel', 99, 1, 16],
    ],
    [['plan', 'zones/test'], ['zpsend plan SOURCE HOST[:DATASET]']],
    [
      ['abort', 'x;y'],
      ['x;y', 'zpsend status', 'zpsend abort --help'],
    ],
    [['status', 'a.b'], ['"a.b"']],
  ])('%j is refused with exit status 2', async (args, facts) => {
    const { stdout, stderr, exitCode } = await zpsend(...args);
    expect(codesOf(stderr)).toEqual(['BAD_REQUEST']);
    expect(stderr).toEqual(mentions(...facts));
    expect([stdout, exitCode]).toEqual(['', 2]);
  });

  it('is JSON on standard output with --json', async () => {
    const { stdout, stderr, exitCode } = await zpsend('send', '--json', 'zones/test', 'zones/backup');
    expect(errorReplySchema.parse(JSON.parse(stdout)).error.code).toBe('BAD_REQUEST');
    expect([stderr, exitCode]).toEqual(['', 2]);
  });
});

describe('without NATS', () => {
  it('a command names the server that it tried, and what to do', async () => {
    const { stderr, exitCode } = await zpsend('send', 'zones/test', 'smos-00');
    expect(codesOf(stderr)).toEqual(['UNREACHABLE']);
    expect(stderr).toEqual(mentions('nats://127.0.0.1:1', 'NATS_URL'));
    expect(exitCode).toBe(1);
  });

  it('doctor shows what is bad, and fails', async () => {
    const { stdout, exitCode } = await zpsend('doctor');
    expect(stdout).toMatch(/^good {2}this host {4}smos-01$/m);
    expect(stdout).toMatch(/^bad {3}nats/m);
    expect(exitCode).toBe(1);
  });
});

describe('for a shell', () => {
  it('help and version go to standard output, with exit status 0', async () => {
    const [help, version, command] = await Promise.all([
      zpsend('send', '--help'),
      zpsend('--version'),
      zpsend('version'),
    ]);
    expect(help.stdout).toEqual(mentions('zpsend send', '--replicate', '--conflict'));
    expect(version.stdout).toMatch(/^\d+\.\d+\.\d+$/);
    expect(command.stdout).toBe(version.stdout);
    expect([help.exitCode, version.exitCode, command.exitCode]).toEqual([0, 0, 0]);
  });

  it('a topic and the help of an inner command go to standard output', async () => {
    const [topic, inner] = await Promise.all([zpsend('help', 'units'), zpsend('help', 'config', 'show')]);
    expect(topic.stdout).toEqual(mentions('100Mbit', '1h30m'));
    expect(inner.stdout).toEqual(mentions('zpsend config show', '--json'));
    expect([topic.exitCode, inner.exitCode, topic.stderr, inner.stderr]).toEqual([0, 0, '', '']);
  });

  it('a closed pipe ends it without a message', async () => {
    const many = Array.from({ length: 20_000 }, (_, at) => ({
      name: `s${at}`,
      guid: String(at + 1),
      createtxg: String(at + 1),
      used: 0,
      referenced: 0,
      written: 0,
      userrefs: 0,
    }));
    const dataset = {
      name: 'zones/test',
      type: 'filesystem',
      guid: '1',
      createtxg: '1',
      used: 0,
      referenced: 0,
      written: 0,
      encryption: 'off',
      snapshots: many,
      bookmarks: [],
    };
    const sides = { version: 1, source: listing('smos-01', [dataset]), target: listing('smos-00') };
    const path = file('many.json', JSON.stringify(sides));
    const script = '"$1" "$2" plan --inventory "$3" zones/test | head -1';
    const { stdout, stderr } = await execa('/bin/sh', ['-c', script, 'sh', process.execPath, program, path]);
    expect([stdout, stderr]).toEqual([expect.stringMatching(/^TYPE/), '']);
  });
});

it('a command ends if the server accepts and never answers', async () => {
  const silent = createServer().listen(0, '127.0.0.1');
  await once(silent, 'listening');
  const address = silent.address();
  const port = typeof address === 'object' ? address?.port : undefined;
  try {
    const { exitCode, stderr } = await execa(process.execPath, [program, 'hosts'], {
      ...{ reject: false, timeout: 40_000 },
      env: { NATS_URL: `nats://127.0.0.1:${port}`, NATS_CONTEXT: '' },
    });
    expect([exitCode, codesOf(stderr)]).toEqual([1, ['UNREACHABLE']]);
  } finally {
    silent.close();
  }
}, 60_000);

describe('zpsend config check', () => {
  const check = (...args: string[]) =>
    execa(process.execPath, [program, 'config', 'check', ...args], {
      reject: false,
      env: { NATS_URL: '', NATS_CONTEXT: '', ZPSEND_HOST: 'smos-01', ZPSEND_ENV_FILE: '/dev/null' },
    });

  it('prints what a file allows and where NATS is, and connects to nothing', async () => {
    const yaml = `
nats: { url: "nats://127.0.0.1:1", user: ann, password: s3cret }
receive: { allow: [{ from: smos-02, into: tank }] }`;
    const path = file('good.yaml', yaml);
    const { exitCode, stdout, stderr } = await check(path);
    expect({ exitCode, stderr, lines: stdout.split('\n') }).toEqual({
      exitCode: 0,
      stderr: '',
      lines: [
        'host     smos-01',
        mentions('config', path, 'smos-02', 'tank', 4),
        `nats     nats://127.0.0.1:1 (${path}), as the user ann (${path})`,
      ],
    });
  });

  it('notes a variable that seems misspelt', async () => {
    const { exitCode, stdout } = await execa(process.execPath, [program, 'config', 'check'], {
      reject: false,
      env: {
        NATS_URL: '',
        NATS_CONTEXT: '',
        ZPSEND_HOST: 'smos-01',
        ZPSEND_ENV_FILE: '/dev/null',
        ZPSEND_PARALEL: '3',
      },
    });
    expect([exitCode, stdout]).toEqual([0, mentions('note', 'ZPSEND_PARALEL', 'ZPSEND_PARALLEL')]);
  });

  it('notes a rule of send.allow that denies the host what a rule above allows', async () => {
    const yaml = 'send: { allow: [{ dataset: a, to: b }, { dataset: a/vm, to: b, from: c }] }';
    const { exitCode, stdout } = await check(file('taken.yaml', yaml));
    expect({ exitCode, last: stdout.split('\n').at(-1) }).toEqual({
      exitCode: 0,
      last: mentions('note', 'send.allow', '{dataset: "a/vm", to: "b"}'),
    });
  });

  it.each([
    ['an unknown key', 'recieve: {}', 'did you mean receive?'],
    ['a key file that is missing', 'nats: { nkey: /nowhere.nk }', '/nowhere.nk'],
    [
      'policies that form a loop, as a service does',
      'send: { policies: [{ dataset: a, to: ["smos-01:a/b"] }] }',
      'send.policies.0',
    ],
  ])('refuses %s with exit status 2', async (_, yaml, fact) => {
    const { exitCode, stdout, stderr } = await check(file('bad.yaml', yaml));
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
    expect([codesOf(stderr), stderr]).toEqual([['BAD_REQUEST'], mentions(fact)]);
  });
});

describe('zpsend config show', () => {
  const show = (...args: string[]) =>
    execa(process.execPath, [program, 'config', 'show', ...args], {
      reject: false,
      env: {
        NATS_URL: 'nats://ann:s3cret@hub',
        NATS_CONTEXT: '',
        ZPSEND_HOST: 'smos-01',
        ZPSEND_ENV_FILE: '/dev/null',
      },
    });

  it('prints a line for each value with its source, and no secret', async () => {
    const path = file('shown.yaml', 'nats: { url: "nats://b", token: s3cret, ca: /ca.pem }\nsend: { parallel: 3 }');
    const { exitCode, stdout } = await show(path);
    expect(exitCode).toBe(0);
    const lines = stdout.split('\n');
    expect(lines).toContain('host  smos-01  ZPSEND_HOST');
    expect(lines).toContain(`send.parallel  3  file ${path}`);
    expect(lines).toContain('timing.lockSeconds  30  default');
    expect(lines).toContain('nats.url  nats://hub  NATS_URL');
    expect(lines).toContain('nats.password  (set)  NATS_URL');
    expect(lines).toContain(`nats.ca  /ca.pem  file ${path}`);
    expect(stdout).not.toContain('s3cret');
  });

  it('prints the same as JSON', async () => {
    const { stdout } = await show('--json', file('shown.yaml', 'send: { parallel: 3 }'));
    const { settings } = configOutputSchema.parse(JSON.parse(stdout));
    expect(settings).toContainEqual({
      key: 'send.parallel',
      value: 3,
      source: mentions('file', join(folder, 'shown.yaml')),
    });
    expect(stdout).not.toContain('s3cret');
  });

  it('refuses an invalid file with exit status 2', async () => {
    const { exitCode, stderr } = await show(file('bad.yaml', 'recieve: {}'));
    expect([exitCode, codesOf(stderr)]).toEqual([2, ['BAD_REQUEST']]);
  });
});

it('a missing file of variables is reported in one line', async () => {
  const { exitCode, stderr } = await execa(process.execPath, [program, 'hosts'], {
    reject: false,
    env: { NATS_URL: '', NATS_CONTEXT: '', ZPSEND_ENV_FILE: join(folder, 'none') },
  });
  expect({ exitCode, lines: stderr.split('\n').length }).toEqual({ exitCode: 2, lines: 1 });
  expect(codesOf(stderr)).toEqual(['BAD_REQUEST']);
  expect(stderr).toEqual(mentions('ZPSEND_ENV_FILE', join(folder, 'none')));
});
