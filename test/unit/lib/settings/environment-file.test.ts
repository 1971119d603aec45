import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { saysNats } from '../../../../lib/bus/connection/nats-settings.ts';
import {
  environmentReader,
  parseEnvironmentFile,
  programEnvironment,
} from '../../../../lib/settings/environment-file.ts';
import { mentions } from '../../../support/mentions.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'zpsend-env-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const load = (text: string, env: NodeJS.ProcessEnv = {}) => {
  const path = join(folder, 'env');
  writeFileSync(path, text);
  return programEnvironment(env, saysNats, path);
};

describe('an environment file is parsed like systemd’s', () => {
  test.each<[string, Record<string, string>]>([
    ['A=b\n', { A: 'b' }],
    ['A=b', { A: 'b' }],
    ['# A=b\n; B=c\n\nC=d\n', { C: 'd' }],
    ['  A = b c  \n', { A: 'b c' }],
    ['A="b c "\n', { A: 'b c ' }],
    ['A=\'b "c" $d\'\n', { A: 'b "c" $d' }],
    ['A="b\\"c\\\\d\\$e\\x"\n', { A: 'b"c\\d$e\\x' }],
    ['A="b\nc"\nD=e\n', { A: 'b\nc', D: 'e' }],
    ['A=b\\\nc\nD=e\n', { A: 'bc', D: 'e' }],
    ['A=b#c\n', { A: 'b#c' }],
    ['A=\nB=c\n', { A: '', B: 'c' }],
    ['A=b=c\n', { A: 'b=c' }],
    ['no variable\nA=b\n', { A: 'b' }],
    ['export A=b\n1B=c\n', {}],
    ['A=b\r\nC=d\r\n', { A: 'b', C: 'd' }],
    ['A=\\ b\\ \n', { A: ' b ' }],
    ['A=b\nA=c\n', { A: 'c' }],
    ['A="b', { A: 'b' }],
    ['__proto__=b\nA=c\n', { A: 'c' }],
  ])('%j', (text, variables) => expect({ ...parseEnvironmentFile(text) }).toEqual(variables));
});

describe('the environment of a program', () => {
  const text = 'NATS_URL=nats://a:1\nZPSEND_HOST=smos-07\nPATH=/nowhere\nNODE_OPTIONS=--inspect\n';

  test('is completed with the file’s variables of NATS and zpsend if it has none of NATS', () => {
    expect(load(text, { PATH: '/bin', ZPSEND_HOST: 'smos-09' })).toMatchObject({
      state: 'read',
      env: { PATH: '/bin', NATS_URL: 'nats://a:1', ZPSEND_HOST: 'smos-09' },
    });
    expect(load(text, {}).env).not.toHaveProperty('NODE_OPTIONS');
  });

  test.each(['NATS_URL', 'NATS_CONTEXT', 'NATS_CREDS'])('is not completed with NATS variables if it has %s', (name) => {
    const all = `${text}NATS_TOKEN=y\nZPSEND_INBOX_PREFIX=_INBOX.smos-07\nZPSEND_CONFIG=/etc/other.yaml\n`;
    const env = { [name]: 'x', ZPSEND_CONFIG: '/etc/mine.yaml' };
    expect(load(all, env)).toMatchObject({ state: 'passed over', env: { ...env, ZPSEND_HOST: 'smos-07' } });
    expect(Object.keys(load(all, env).env).sort()).toEqual([...Object.keys(env), 'ZPSEND_HOST'].sort());
  });

  test('is completed if a variable of NATS is empty, or has another meaning', () => {
    expect(load(text, { NATS_URL: '', NATS_TIMEOUT: '1s' }).env).toMatchObject({ NATS_URL: 'nats://a:1' });
  });

  test('is unchanged without a file', () => {
    const path = join(folder, 'missing');
    expect(programEnvironment({ A: 'b' }, saysNats, path)).toEqual({ env: { A: 'b' }, path, state: 'absent' });
  });

  test('is unchanged if the file cannot be read, which is an error only if it was named', () => {
    expect(programEnvironment({}, saysNats, folder)).toMatchObject({ state: 'unreadable' });
    expect(() => programEnvironment({ ZPSEND_ENV_FILE: folder }, saysNats)).toThrow(
      expect.objectContaining({ code: 'BAD_REQUEST', message: mentions('ZPSEND_ENV_FILE', 'EISDIR') }),
    );
    const named = { ZPSEND_ENV_FILE: join(folder, 'missing') };
    expect(() => programEnvironment(named, saysNats)).toThrow(
      expect.objectContaining({ code: 'BAD_REQUEST', message: mentions('ZPSEND_ENV_FILE', 'ENOENT') }),
    );
  });
});

describe('the environment of a running service', () => {
  const path = () => join(folder, 'again');
  /** A service that starts with this file and environment, and reads both again when the file has changed. */
  function again(before: string, env: NodeJS.ProcessEnv, after: string): NodeJS.ProcessEnv {
    writeFileSync(path(), before);
    const read = environmentReader(env, saysNats, path());
    expect(read(), 'without a change').toEqual(programEnvironment(env, saysNats, path()).env);
    writeFileSync(path(), after);
    return read();
  }
  const before = 'NATS_URL=nats://a:1\nNATS_NKEY=/k\nZPSEND_ALLOW=a=tank\nZPSEND_PARALLEL=3\n';
  const after = 'NATS_URL=nats://b:1\nNATS_NKEY=/k\nZPSEND_ALLOW=b=tank\nZPSEND_BOOKMARKS=off\n';
  const variables = { NATS_URL: 'nats://b:1', NATS_NKEY: '/k', ZPSEND_ALLOW: 'b=tank', ZPSEND_BOOKMARKS: 'off' };

  test('has the new values, also those that systemd or a shell had taken from the file', () => {
    expect(again(before, { PATH: '/bin' }, after)).toEqual({ PATH: '/bin', ...variables });
    const taken = { ...parseEnvironmentFile(before), PATH: '/bin', HOME: '/root' };
    expect(again(before, taken, after)).toEqual({ PATH: '/bin', HOME: '/root', ...variables });
    expect(again(before, taken, '')).toEqual({ PATH: '/bin', HOME: '/root' });
  });

  test('keeps the values of the environment that differ from the file', () => {
    expect(again(before, { ZPSEND_ALLOW: 'c=tank' }, after)).toEqual({ ...variables, ZPSEND_ALLOW: 'c=tank' });
  });

  test('keeps all NATS settings of an environment that has some of its own', () => {
    const env = { NATS_URL: 'nats://c:1', NATS_NKEY: '/k', ZPSEND_ALLOW: 'a=tank' };
    const kept = { NATS_URL: 'nats://c:1', NATS_NKEY: '/k' };
    expect(again(before, env, after)).toEqual({ ...kept, ZPSEND_ALLOW: 'b=tank', ZPSEND_BOOKMARKS: 'off' });
  });

  test('is refused while a file that was read at the start cannot be read', () => {
    writeFileSync(path(), before);
    const read = environmentReader({}, saysNats, path());
    rmSync(path());
    mkdirSync(path());
    expect(read).toThrow(expect.objectContaining({ code: 'BAD_REQUEST', message: mentions(path()) }));
    rmSync(path(), { recursive: true });
    expect(read()).toEqual({});
  });
});
