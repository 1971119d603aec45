import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { daemonOptions } from '../../lib/bus/connect.ts';
import { connectionOptionsFrom } from '../../lib/bus/options.ts';

let home: string;
beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), 'zpsend-options-'));
  const contexts = join(home, '.config/nats/context');
  mkdirSync(contexts, { recursive: true });
  const context = { description: 'lab', url: 'nats://lab:4222', user: 'ann', password: 'pw', ca: '/ca.pem', nsc: '' };
  writeFileSync(join(contexts, 'lab.json'), JSON.stringify(context));
  writeFileSync(join(contexts, 'broken.json'), '{');
  writeFileSync(join(contexts, 'wrong.json'), '{"url":4222}');
  writeFileSync(join(home, 'user.creds'), 'nonsense');
});
afterAll(() => rmSync(home, { recursive: true, force: true }));

const from = (env: NodeJS.ProcessEnv) => connectionOptionsFrom({ HOME: home, ...env });

describe('where NATS is and who we are', () => {
  test('is this machine without a name when nothing is said', () => {
    expect(from({})).toEqual({ servers: ['nats://127.0.0.1:4222'] });
  });

  test('is what NATS_URL says, several servers too', () => {
    expect(from({ NATS_URL: 'nats://a:1,nats://b:2' }).servers).toEqual(['nats://a:1', 'nats://b:2']);
    expect(from({ NATS_URL: 'a:1, b' }).servers).toEqual(['a:1', 'b']);
  });

  test.each([
    ['nats://ann:pw@a:1', { servers: ['nats://a:1'], user: 'ann', pass: 'pw' }],
    [
      'nats://ann:p%40%3Aw@a:1,nats://ann:p%40%3Aw@b:2',
      { servers: ['nats://a:1', 'nats://b:2'], user: 'ann', pass: 'p@:w' },
    ],
    ['nats://s3cret@a:1', { servers: ['nats://a:1'], token: 's3cret' }],
  ])('may stand in the URL as %s', (NATS_URL, options) => expect(from({ NATS_URL })).toEqual(options));

  test('is a user and a password, or a token', () => {
    expect(from({ NATS_USER: 'ann', NATS_PASSWORD: 'pw' })).toMatchObject({ user: 'ann', pass: 'pw' });
    expect(from({ NATS_TOKEN: 's3cret' })).toMatchObject({ token: 's3cret' });
    expect(from({ NATS_USER: 's3cret' }), 'as the nats CLI has it').toMatchObject({ token: 's3cret' });
  });

  test('is a named context, and a variable wins over it', () => {
    expect(from({ NATS_CONTEXT: 'lab' })).toEqual({
      servers: ['nats://lab:4222'],
      user: 'ann',
      pass: 'pw',
      tls: { caFile: '/ca.pem' },
    });
    expect(from({ NATS_CONTEXT: 'lab', NATS_URL: 'nats://here:1', NATS_CA: '' })).toMatchObject({
      servers: ['nats://here:1'],
      user: 'ann',
      tls: { caFile: '/ca.pem' },
    });
  });

  test('is looked for where XDG says', () => {
    expect(from({ HOME: '/nowhere', XDG_CONFIG_HOME: join(home, '.config'), NATS_CONTEXT: 'lab' })).toMatchObject({
      user: 'ann',
    });
  });

  test('is proved by a certificate', () => {
    expect(from({ NATS_CERT: '/c.pem', NATS_KEY: '/k.pem' }).tls).toEqual({ certFile: '/c.pem', keyFile: '/k.pem' });
    expect(from({ NATS_URL: 'tls://a:1' }).tls).toEqual({});
    expect(from({ NATS_URL: 'nats://a:1' }).tls).toBeUndefined();
  });

  test('is proved by credentials or a key', () => {
    expect(from({ NATS_CREDS: join(home, 'user.creds') }).authenticator).toBeTypeOf('function');
    expect(from({ NATS_NKEY: join(home, 'user.creds') }).authenticator).toBeTypeOf('function');
  });

  test.each<[NodeJS.ProcessEnv, RegExp]>([
    [{ NATS_URL: 'nats://ann:%zz@a:1' }, /NATS_URL/],
    [{ NATS_CREDS: '/nowhere.creds' }, /credentials file \/nowhere\.creds/],
    [{ NATS_NKEY: '/nowhere.nk' }, /nkey seed file \/nowhere\.nk/],
    [{ NATS_CONTEXT: 'missing' }, /NATS context .*missing\.json/],
    [{ NATS_CONTEXT: 'broken' }, /broken\.json is not valid/],
    [{ NATS_CONTEXT: 'wrong' }, /wrong\.json is not valid/],
  ])('%j cannot be read, and the error names it', (env, words) => {
    expect(() => from(env)).toThrow(words);
    expect(() => from(env)).toThrow(expect.objectContaining({ code: 'BAD_REQUEST' }));
  });
});

test('a service’s connection never gives up by itself', () => {
  expect(daemonOptions({ name: 'zpsend', env: { HOME: home }, wait: true })).toMatchObject({
    reconnect: true,
    maxReconnectAttempts: -1,
    waitOnFirstConnect: true,
    ignoreAuthErrorAbort: true,
  });
});
