import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nkeys } from '@nats-io/transport-node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { daemonOptions } from '../../../../../lib/bus/connection/connect.ts';
import { findNats, type NatsPlaces } from '../../../../../lib/bus/connection/find-nats.ts';
import { connectionOptions, identityOf } from '../../../../../lib/bus/connection/options.ts';
import type { NatsConfig } from '../../../../../schemas/nats.ts';
import { mentions } from '../../../../support/mentions.ts';

let home: string;
const pair = nkeys.createUser();
const seed = new TextDecoder().decode(pair.getSeed());
/** A JWT with the parts that a client reads, and a credentials file with it. */
const jwtThat = (claims: object) => `e30.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.c2ln`;
const credsWith = (jwt: string) =>
  `-----BEGIN NATS USER JWT-----\n${jwt}\n------END NATS USER JWT------\n\n-----BEGIN USER NKEY SEED-----\n${seed}\n------END USER NKEY SEED------\n`;

const at = (name: string): string => join(home, name);
const contextFile = (name: string): string => at(`.config/nats/context/${name}`);
const context = (name: string, fields: object | string): void =>
  writeFileSync(contextFile(`${name}.json`), typeof fields === 'string' ? fields : JSON.stringify(fields));
const select = (name: string): void => writeFileSync(at('.config/nats/context.txt'), name);

beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), 'zpsend-options-'));
  mkdirSync(at('.config/nats/context'), { recursive: true });
  for (const name of ['ca.pem', 'c.pem', 'k.pem', 'empty']) writeFileSync(at(name), '');
  context('lab', {
    description: 'lab',
    url: 'nats://lab:4222',
    user: 'ann',
    password: 'pw',
    ca: at('ca.pem'),
    nsc: '',
  });
  context('broken', '{');
  context('wrong', { url: 4222 });
  writeFileSync(at('user.creds'), credsWith(jwtThat({})));
  writeFileSync(at('user.nk'), `${seed}\n`);
  writeFileSync(at('nonsense'), 'nonsense');
  writeFileSync(at('secret'), 's3cret\n');
});
afterAll(() => rmSync(home, { recursive: true, force: true }));

const find = (env: NodeJS.ProcessEnv, config?: NatsConfig, more: Partial<NatsPlaces> = {}) =>
  findNats({
    env: { HOME: home, ...env },
    ...(config && { config: { section: config, path: '/etc/zpsend.yaml' } }),
    ...more,
  });
const from = (env: NodeJS.ProcessEnv, config?: NatsConfig) => connectionOptions(find(env, config).settings);
const captured = (run: () => unknown): unknown => {
  try {
    return run();
  } catch (thrown) {
    return thrown;
  }
};

describe('credential files are read again at each connect, since expiring credentials are renewed there', () => {
  /** The replies to a server's nonce. */
  const answers = (env: NodeJS.ProcessEnv): (() => unknown) => {
    const { authenticator } = from(env);
    if (typeof authenticator !== 'function') throw new Error('no authenticator');
    return () => authenticator('nonce');
  };
  const other = nkeys.createUser();

  test('a seed', () => {
    writeFileSync(at('renewed.nk'), `${seed}\n`);
    const answer = answers({ NATS_NKEY: at('renewed.nk') });
    expect(answer()).toMatchObject({ nkey: pair.getPublicKey() });
    writeFileSync(at('renewed.nk'), other.getSeed());
    expect(answer()).toMatchObject({ nkey: other.getPublicKey() });
    // while it is being written, or is missing, the last seed stays
    writeFileSync(at('renewed.nk'), 'SU');
    expect(answer()).toMatchObject({ nkey: other.getPublicKey() });
    rmSync(at('renewed.nk'));
    expect(answer()).toMatchObject({ nkey: other.getPublicKey() });
  });

  test('a JWT with its seed', () => {
    writeFileSync(at('renewed.creds'), credsWith(jwtThat({ exp: 1 })));
    const answer = answers({ NATS_CREDS: at('renewed.creds') });
    expect(answer()).toMatchObject({ jwt: jwtThat({ exp: 1 }), nkey: pair.getPublicKey() });
    writeFileSync(at('renewed.creds'), credsWith(jwtThat({ exp: 2 })));
    expect(answer()).toMatchObject({ jwt: jwtThat({ exp: 2 }) });
    writeFileSync(at('renewed.creds'), credsWith(jwtThat({ exp: 3 })).slice(0, 60));
    expect(answer()).toMatchObject({ jwt: jwtThat({ exp: 2 }) });
  });
});

describe('the server and the identity', () => {
  test('are this machine and no identity without settings', () => {
    expect(from({})).toEqual({ servers: ['nats://127.0.0.1:4222'] });
    expect(find({}).sources).toEqual({ server: 'default' });
  });

  test('come from NATS_URL, also for several servers', () => {
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
  ])('can be set in the URL as %s', (NATS_URL, options) => expect(from({ NATS_URL })).toEqual(options));

  test.each([
    ['nats://alice:s3/cret@nats.example:4222', 's3/cret'],
    ['nats://alice:s3@cret@nats.example:4222', 's3@cret'],
    ['alice:s3@cret@nats.example:4222', 's3@cret'],
    ['nats://tok/en@nats.example:4222', 'tok/en'],
    ['nats://alice:a:b@nats.example:4222', 'a:b'],
  ])('a secret ends at the last "@" of %s', (NATS_URL, secret) => {
    const { settings } = find({ NATS_URL });
    expect(settings.url?.replace('nats://', '')).toBe('nats.example:4222');
    expect(settings.password ?? settings.token).toBe(secret);
  });

  test.each([
    'nats://alice:pa,ss@h',
    'alice:pa,ss@h',
    'nats://alice:12,zq9@h:4222',
    'nats://pa,ss@h',
    'nats://a:1,nats://alice:zq9',
    'nats://alice:zq9',
    'nats://pa/ss',
    'nats://alice:zq9@h/zq9',
    'nats://alice:zq9@',
    'nats://alice:zq9@:4222',
    'nats://alice:zq9@h:zq9',
    'nats://alice:zq9%zz@h',
    'nats://alice:x@h?zq9',
    'zq9://zq9@zq9',
    'http://alice:pa/ss',
  ])('no error shows a part of the ambiguous URL %s', (NATS_URL) => {
    for (const from of [{ NATS_URL }, { config: NATS_URL }]) {
      const thrown = captured(() =>
        find('config' in from ? {} : from, 'config' in from ? { url: NATS_URL } : undefined),
      );
      expect(thrown).toMatchObject({ code: 'BAD_REQUEST' });
      expect(String(thrown)).not.toMatch(/pa,|zq9|ss@|alice|pa\/ss|12,/);
    }
  });

  test('an address may be one of IPv6, or end in "/"', () => {
    expect(from({ NATS_URL: 'nats://[fe80::1]:4222/,::1' }).servers).toEqual(['nats://[fe80::1]:4222', '::1']);
  });

  test.each(['http://a:8222', 'https://a', 'ws://a:80', 'a:1,wss://b', 'nats://'])(
    '%s is not an address',
    (NATS_URL) => {
      expect(() => from({ NATS_URL })).toThrow(
        expect.objectContaining({
          code: 'BAD_REQUEST',
          message: NATS_URL === 'nats://' ? expect.any(String) : mentions('nats://HOST:4222'),
        }),
      );
    },
  );

  test('an identity is a user and a password, or a token', () => {
    expect(from({ NATS_USER: 'ann', NATS_PASSWORD: 'pw' })).toMatchObject({ user: 'ann', pass: 'pw' });
    expect(from({ NATS_TOKEN: 's3cret' })).toMatchObject({ token: 's3cret' });
    expect(from({ NATS_USER: 's3cret' }), 'as the nats CLI has it').toMatchObject({ token: 's3cret' });
  });

  test('come from a named context, but a variable has precedence', () => {
    expect(from({ NATS_CONTEXT: 'lab' })).toEqual({
      servers: ['nats://lab:4222'],
      user: 'ann',
      pass: 'pw',
      tls: { caFile: at('ca.pem') },
    });
    expect(from({ NATS_CONTEXT: 'lab', NATS_URL: 'nats://here:1', NATS_CA: '' })).toMatchObject({
      servers: ['nats://here:1'],
      user: 'ann',
      tls: { caFile: at('ca.pem') },
    });
  });

  test('a context is read from the folder that XDG_CONFIG_HOME names', () => {
    expect(from({ HOME: '/nowhere', XDG_CONFIG_HOME: at('.config'), NATS_CONTEXT: 'lab' })).toMatchObject({
      user: 'ann',
    });
  });

  test('an identity can be a certificate', () => {
    const [certFile, keyFile] = [at('c.pem'), at('k.pem')];
    expect(from({ NATS_CERT: certFile, NATS_KEY: keyFile }).tls).toEqual({ certFile, keyFile });
    expect(from({ NATS_URL: 'tls://a:1' }).tls).toEqual({});
    expect(from({ NATS_URL: 'nats://a:1' }).tls).toBeUndefined();
  });

  test('an identity can be credentials, a key or a JWT, and its description contains no secret', () => {
    expect(from({ NATS_CREDS: at('user.creds') }).authenticator).toBeTypeOf('function');
    expect(from({ NATS_NKEY: at('user.nk') }).authenticator).toBeTypeOf('function');
    expect(from({ NATS_JWT: jwtThat({}), NATS_SEED: seed }).authenticator).toBeTypeOf('function');
    const words = [
      { nkey: at('user.nk') },
      { creds: at('user.creds') },
      { jwt: jwtThat({}), seed },
      { token: 's3cret' },
    ].map((settings) => identityOf(settings)?.words);
    expect(words).toEqual([
      `the nkey ${pair.getPublicKey()} (${at('user.nk')})`,
      `the credentials ${at('user.creds')}`,
      'a JWT',
      'a token',
    ]);
  });

  test.each<[string, NodeJS.ProcessEnv, string[]]>([
    ['a URL that is not encoded', { NATS_URL: 'nats://ann:%zz@a:1' }, ['percent-encoded']],
    ['no credentials file', { NATS_CREDS: '/nowhere.creds' }, ['/nowhere.creds']],
    ['no seed file', { NATS_NKEY: '/nowhere.nk' }, ['/nowhere.nk']],
    ['no CA file', { NATS_CA: '/nowhere.pem' }, ['/nowhere.pem']],
    ['a proxy', { NATS_SOCKS_PROXY: 'a:1' }, ['NATS_SOCKS_PROXY']],
    ['no such context', { NATS_CONTEXT: 'missing' }, ['ENOENT', 'missing.json']],
    ['a context elsewhere', { NATS_CONTEXT: '../lab' }, ['"../lab"']],
    ['a context that is no JSON', { NATS_CONTEXT: 'broken' }, ['broken.json']],
    ['a context of wrong types', { NATS_CONTEXT: 'wrong' }, ['wrong.json', 'url']],
  ])('%s: the error names the cause', (_what, env, facts) => {
    expect(() => from(env)).toThrow(
      expect.objectContaining({
        code: 'BAD_REQUEST',
        message: mentions(...facts.map((fact) => (fact.endsWith('.json') ? contextFile(fact) : fact))),
      }),
    );
  });

  test.each([
    ['NATS_NKEY', 'nats auth nkey gen user'],
    ['NATS_CREDS', 'nsc generate creds'],
  ])('the error for a file without a valid secret names the file but not its content: %s', (name, wayOut) => {
    expect(() => from({ [name]: at('nonsense') })).toThrow(
      expect.objectContaining({ code: 'BAD_REQUEST', message: mentions(at('nonsense'), wayOut) }),
    );
    expect(() => from({ [name]: at('nonsense') })).not.toThrow(/: nonsense|"nonsense"/);
  });

  test('credentials have the time at which they expire', () => {
    writeFileSync(at('old.creds'), credsWith(jwtThat({ exp: 1_700_000_000 })));
    expect(identityOf({ creds: at('old.creds') })?.expires).toEqual(new Date(1_700_000_000_000));
    expect(identityOf({ creds: at('user.creds') })?.expires).toBeUndefined();
  });
});

describe('the configuration file', () => {
  test('can set the server and the identity', () => {
    const config = {
      servers: ['nats://a:1', 'b:2'],
      user: 'ann',
      passwordFile: at('secret'),
      ca: at('ca.pem'),
      inboxPrefix: '_INBOX.a',
    };
    expect(from({}, config)).toEqual({
      servers: ['nats://a:1', 'b:2'],
      user: 'ann',
      pass: 's3cret',
      inboxPrefix: '_INBOX.a',
      tls: { caFile: at('ca.pem') },
    });
    expect(from({}, { token: 'x', tlsFirst: true })).toMatchObject({ token: 'x', tls: { handshakeFirst: true } });
    expect(from({}, { tokenFile: at('secret') })).toMatchObject({ token: 's3cret' });
  });

  test('supplies the parts that the environment lacks, and an identity only as a whole', () => {
    const found = find(
      { NATS_URL: 'nats://here:1', NATS_NKEY: at('user.nk') },
      { url: 'nats://ann:pw@there:1', ca: at('ca.pem') },
    );
    expect(found.settings).toMatchObject({
      url: 'nats://here:1',
      nkey: at('user.nk'),
      user: undefined,
      ca: at('ca.pem'),
    });
    expect(found.sources).toEqual({ server: 'the environment', identity: 'the environment', ca: '/etc/zpsend.yaml' });
  });

  test('is ignored if the environment names a context', () => {
    expect(from({ NATS_CONTEXT: 'lab' }, { url: 'nats://there:1', nkey: at('user.nk') })).toMatchObject({
      servers: ['nats://lab:4222'],
      user: 'ann',
    });
  });

  test('may name a context, which supplies the rest', () => {
    const found = find({}, { url: 'nats://there:1', context: 'lab' });
    expect(found.settings).toMatchObject({ url: 'nats://there:1', user: 'ann' });
    expect(found.sources).toMatchObject({
      server: '/etc/zpsend.yaml',
      identity: 'the NATS context lab (/etc/zpsend.yaml)',
    });
  });
});

describe('the selected context', () => {
  test('is used if no other source sets the server', () => {
    select('lab\n');
    expect(from({})).toMatchObject({ servers: ['nats://lab:4222'], user: 'ann' });
    expect(find({}).sources).toMatchObject({ server: 'the NATS context lab (selected)' });
  });

  test('is ignored as a whole if another source does', () => {
    select('lab');
    expect(from({ NATS_URL: 'nats://here:1' })).toEqual({ servers: ['nats://here:1'] });
    expect(find({ NATS_URL: 'nats://here:1' }).unused).toBe('lab');
    expect(from({}, { url: 'nats://there:1' })).toEqual({ servers: ['nats://there:1'] });
    context('other', { url: 'nats://other:1' });
    expect(find({ NATS_CONTEXT: 'other' })).toMatchObject({ settings: { url: 'nats://other:1' } });
  });

  test('is an error if it is missing, as for the nats CLI', () => {
    select('gone');
    expect(() => from({})).toThrow(
      expect.objectContaining({ code: 'BAD_REQUEST', message: mentions(contextFile('gone.json')) }),
    );
    select('');
    expect(from({}).servers).toEqual(['nats://127.0.0.1:4222']);
  });
});

describe('in a context', () => {
  const of = (fields: object) => {
    context('this', fields);
    return from({ NATS_CONTEXT: 'this' });
  };

  test('a JWT with its seed, tls_first and an inbox prefix are used', () => {
    const { authenticator, tls, inboxPrefix } = of({
      user_jwt: jwtThat({}),
      user_seed: seed,
      tls_first: true,
      inbox_prefix: '_INBOX.a',
    });
    expect(authenticator).toBeTypeOf('function');
    expect({ tls, inboxPrefix }).toEqual({ tls: { handshakeFirst: true }, inboxPrefix: '_INBOX.a' });
  });

  test('file names are expanded as by the nats CLI', () => {
    expect(of({ ca: '~/ca.pem' }).tls).toEqual({ caFile: at('ca.pem') });
    expect(of({ ca: '$HOME/ca.pem' }).tls).toEqual({ caFile: at('ca.pem') });
    expect(of({ ca: `file://${at('ca.pem')}` }).tls).toEqual({ caFile: at('ca.pem') });
  });

  test.each<[string, object]>([
    ['nsc', { nsc: 'nsc://op/acc/user' }],
    ['socks_proxy', { socks_proxy: 'socks5://a:1' }],
    ['jetstream_domain', { jetstream_domain: 'hub' }],
    ['jetstream_api_prefix', { jetstream_api_prefix: 'JS.other' }],
    ['windows_ca_certs_match', { windows_ca_certs_match: ['a'] }],
    ['what_is_new', { what_is_new: true }],
    ['creds', { creds: 'op://vault/item' }],
    ['password', { user: 'ann', password: 'env://PW' }],
  ])('%s is refused by name, but ignored if it is empty', (field, fields) => {
    expect(() => of(fields)).toThrow(
      expect.objectContaining({ code: 'BAD_REQUEST', message: mentions(contextFile('this.json'), field) }),
    );
    const empty = Object.fromEntries(
      Object.entries(fields).map(([key, value]) => [
        key,
        Array.isArray(value) ? [] : typeof value === 'boolean' ? false : '',
      ]),
    );
    expect(of({ ...empty, url: 'a:1', name: 'x', color_scheme: 'bold' }).servers).toEqual(['a:1']);
  });
});

test('a service’s connection never gives up reconnecting', () => {
  expect(daemonOptions(find({}), { name: 'zpsend', wait: true })).toMatchObject({
    reconnect: true,
    maxReconnectAttempts: -1,
    waitOnFirstConnect: true,
    ignoreAuthErrorAbort: true,
  });
});
