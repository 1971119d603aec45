import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { nkeys } from '@nats-io/transport-node';
import { describe, expect, onTestFinished, test } from 'vitest';
import { z } from 'zod';
import { connectBus } from '../../../lib/bus/connection/connect.ts';
import { request, requestMany } from '../../../lib/bus/rpc/request.ts';
import { serve } from '../../../lib/bus/rpc/serve.ts';
import { startNatsServer } from '../../../tools/nats-server/start.ts';
import { rejection, useBus } from '../../support/bus.ts';
import { makeCertificates } from '../../support/certificates.ts';
import { mentions } from '../../support/mentions.ts';
import { ownNatsServer } from '../../support/nats-server.ts';

const refusal = (env: NodeJS.ProcessEnv) => rejection(connectBus({ name: 'test', env, wait: false }));

async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'zpsend-connect-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  return folder;
}

const anything = z.json();
const nothing = z.strictObject({});

describe('a NATS that is not there', () => {
  test('is UNREACHABLE for a command, whose error has the address and what to do, and no password', async () => {
    const own = await startNatsServer();
    await own.stop();
    const env = { NATS_URL: own.url.replace('//', '//ann:s3cret@') };
    const error = await rejection(connectBus({ name: 'test', env, wait: false }));
    expect(error.code).toBe('UNREACHABLE');
    expect(error.message).toEqual(mentions(own.url, 'nats-server', 'NATS_URL'));
    expect(error.message).not.toContain('s3cret');
  });

  test('is waited for by a service, which logs that, and connects when it comes', async () => {
    const own = await ownNatsServer();
    await own.kill();
    const events: string[] = [];
    const connecting = useBus(own.url, { wait: true, onStatus: (event) => events.push(event) });
    await expect.poll(() => events, { timeout: 20_000 }).toEqual(['nats.waiting']);
    await own.restart();
    const bus = await connecting;
    serve(bus, { name: 'x', subject: 'zfs.a.x', request: nothing, handle: async () => ({ ok: true }) });
    expect(await request(bus, 'zfs.a.x', {}, anything)).toEqual({ ok: true });
  });
});

test('a NATS that takes no messages of a useful size is refused, with the setting to change', async () => {
  const own = await ownNatsServer({ config: 'max_payload: 4096' });
  const error = await rejection(connectBus({ name: 'test', env: { NATS_URL: own.url }, wait: false }));
  expect(error.code).toBe('UNSUPPORTED');
  expect(error.message).toEqual(mentions(4096, 65536, 'max_payload'));
});

describe('a NATS that goes and comes', () => {
  test('fails requests at once, and everything continues after it', async () => {
    const own = await ownNatsServer();
    const events: string[] = [];
    const [service, asker] = [
      await useBus(own.url, { onStatus: (event) => events.push(event) }),
      await useBus(own.url),
    ];
    serve(service, { name: 'x', subject: 'zfs.a.x', request: nothing, handle: async () => ({ ok: true }) });
    serve(service, { name: 'y', subject: 'zfs.a.y', request: nothing, handle: async () => undefined });
    await service.nc.flush();
    const under = [
      rejection(request(asker, 'zfs.a.y', {}, anything, 60_000)),
      rejection(requestMany(asker, 'zfs.a.y', {}, anything, 60_000)),
    ];
    await asker.nc.flush();
    await own.kill();
    for (const error of await Promise.all(under)) expect(error.code).toBe('UNREACHABLE');
    await expect.poll(() => asker.connected).toBe(false);
    expect((await rejection(request(asker, 'zfs.a.x', {}, anything, 60_000))).code).toBe('UNREACHABLE');
    await own.restart();
    await expect
      .poll(() => request(asker, 'zfs.a.x', {}, anything).catch(() => undefined), { timeout: 20_000 })
      .toEqual({ ok: true });
    expect(events).toEqual(['nats.lost', 'nats.connected']);
  });
});

describe('who we are', () => {
  const config = (more: string) => `authorization { ${more} }`;

  test.each([
    ['a user', config('user: ann, password: "p@:w"'), 'ann:p%40%3Aw@'],
    ['a token', config('token: s3cret'), 's3cret@'],
  ])('may be %s in the URL', async (_what, text, identity) => {
    const own = await ownNatsServer({ config: text });
    const bus = await useBus(own.url.replace('//', `//${identity}`));
    await expect(bus.nc.flush()).resolves.toBeUndefined();
    const error = await refusal({ NATS_URL: own.url });
    expect(error.code).toBe('NOT_ALLOWED');
    expect(error.message).toEqual(mentions(own.url, 'Authorization Violation', 'NATS_NKEY'));
  });

  test('is reported with what is refused, without secrets, also where another server is down, and a service continues to wait', async () => {
    const [known, other] = [nkeys.createUser(), nkeys.createUser()];
    const folder = await temporaryFolder();
    const seed = new TextDecoder().decode(other.getSeed());
    await writeFile(join(folder, 'other.nk'), seed);
    const jwt = `e30.${Buffer.from('{"exp":1700000000}').toString('base64url')}.c2ln`;
    const creds = `-----BEGIN NATS USER JWT-----\n${jwt}\n------END NATS USER JWT------\n-----BEGIN USER NKEY SEED-----\n${seed}\n------END USER NKEY SEED------\n`;
    await writeFile(join(folder, 'old.creds'), creds);
    const own = await ownNatsServer({ config: config(`users: [{ nkey: ${known.getPublicKey()} }]`) });
    const NATS_URL = own.url;
    const cases: [NodeJS.ProcessEnv, string[]][] = [
      [{ NATS_URL, NATS_USER: 'ann', NATS_PASSWORD: 's3cret' }, [own.url, 'ann', 'Authorization Violation']],
      [{ NATS_URL, NATS_TOKEN: 's3cret' }, [own.url, 'token']],
      [{ NATS_URL, NATS_NKEY: join(folder, 'other.nk') }, [other.getPublicKey(), `${folder}/other.nk`]],
      [{ NATS_URL, NATS_CREDS: join(folder, 'old.creds') }, ['2023-11-14T22:13:20.000Z']],
      [{ NATS_URL: `nats://127.0.0.1:1,${own.url}`, NATS_TOKEN: 's3cret' }, [own.url, 'token']],
      [{ NATS_URL: `${own.url},nats://127.0.0.1:1`, NATS_TOKEN: 's3cret' }, [own.url, 'token']],
    ];
    for (const [env, facts] of cases) {
      const error = await refusal(env);
      expect(error).toMatchObject({ code: 'NOT_ALLOWED', message: mentions(...facts) });
      expect(error.message).not.toMatch(new RegExp(`s3cret|${seed}|${jwt}`));
    }
    const events: string[] = [];
    const env = { NATS_URL, NATS_NKEY: join(folder, 'known.nk') };
    await writeFile(env.NATS_NKEY, other.getSeed());
    const ended = new AbortController();
    void connectBus({
      name: 'test',
      env,
      wait: true,
      onStatus: (event) => events.push(event),
      signal: ended.signal,
    }).catch(() => {});
    await expect.poll(() => events, { timeout: 20_000 }).toEqual(['nats.refused']);
    ended.abort();
  });
});

describe('TLS', () => {
  test('that fails is reported with its cause: a CA, a certificate, a server without TLS, one with handshake first', async () => {
    const folder = await temporaryFolder();
    await makeCertificates(folder);
    const [ca, cert, key] = ['ca.pem', 'server.pem', 'server-key.pem'].map((name) => join(folder, name)) as [
      string,
      string,
      string,
    ];
    const files = `cert_file: "${cert}", key_file: "${key}"`;
    const plain = await ownNatsServer();
    const verifies = await ownNatsServer({ config: `tls { ${files}, ca_file: "${ca}", verify: true }` });
    const first = await ownNatsServer({ config: `tls { ${files}, handshake_first: true }` });
    const cases: [NodeJS.ProcessEnv, string, ...string[]][] = [
      [{ NATS_URL: verifies.url }, 'untrusted', verifies.url, 'NATS_CA'],
      [{ NATS_URL: verifies.url, NATS_CA: ca }, 'client-certificate', 'NATS_CERT', 'NATS_KEY'],
      [{ NATS_URL: plain.url.replace('nats:', 'tls:') }, 'no-tls', 'tls://'],
      [{ NATS_URL: first.url, NATS_CA: ca }, 'hung-up', 'tlsFirst: true'],
    ];
    for (const [env, tls, ...facts] of cases) {
      expect(await refusal(env)).toMatchObject({
        code: 'UNREACHABLE',
        details: { reason: 'tls', tls },
        message: mentions(...facts),
      });
    }
    const mutual = await useBus(verifies.url, {
      env: { NATS_URL: verifies.url, NATS_CA: ca, NATS_CERT: cert, NATS_KEY: key },
    });
    expect(mutual.connected).toBe(true);
    const section = { url: first.url, ca, tlsFirst: true };
    const early = await useBus('', { env: {}, config: { section, path: '/etc/zpsend.yaml' } });
    expect(early.found.sources).toMatchObject({ server: '/etc/zpsend.yaml', ca: '/etc/zpsend.yaml' });
  });
});

describe('close', () => {
  test('sends what is pending, and reports that the connection has ended', async () => {
    const own = await ownNatsServer();
    const [one, two] = [await useBus(own.url), await useBus(own.url)];
    const received: string[] = [];
    two.nc.subscribe('zfs.a.x', { callback: (_error, message) => void received.push(message.string()) });
    await two.nc.flush();
    one.nc.publish('zfs.a.x', 'last words');
    await one.close();
    expect(await one.closed).toBeUndefined();
    expect(one.connected).toBe(false);
    await expect.poll(() => received).toEqual(['last words']);
    await expect(one.close()).resolves.toBeUndefined();
  });

  test('ends also while NATS is away', async () => {
    const own = await ownNatsServer();
    const bus = await useBus(own.url);
    await own.kill();
    await expect.poll(() => bus.connected).toBe(false);
    expect(await Promise.race([bus.close(300).then(() => 'closed'), sleep(15_000, 'hung')])).toBe('closed');
    expect(await Promise.race([bus.closed.then(() => 'closed'), sleep(15_000, 'hung')])).toBe('closed');
  });
});
