import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type NodeConnectionOptions } from '@nats-io/transport-node';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { connectError } from '../../../lib/bus/connection/connect-error.ts';
import { connectionOptions } from '../../../lib/bus/connection/options.ts';
import { openDataConnection } from '../../../lib/bus/data-connection/connection.ts';
import type { TlsFiles } from '../../../tools/nats-server/config.ts';
import type { StartOptions } from '../../../tools/nats-server/start.ts';
import { makeCertificates } from '../../support/certificates.ts';
import { ownNatsServer } from '../../support/nats-server.ts';

let folder = '';
const at = (whose: string, file: string): string => join(folder, whose, file);
const ca = (whose: string): string => at(whose, 'ca.pem');
const tlsOf = (whose: string): TlsFiles => ({ cert: at(whose, 'server.pem'), key: at(whose, 'server-key.pem') });

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'zpsend-dataConnection-tls-'));
  const names = { ours: undefined, theirs: undefined, elsewhere: 'DNS:nats.example' };
  for (const [whose, name] of Object.entries(names)) {
    const own = join(folder, whose);
    await mkdir(own);
    await makeCertificates(own, name);
  }
});
afterAll(() => rm(folder, { recursive: true }));

async function useServer(tls?: TlsFiles) {
  const options: StartOptions = tls ? { tls } : {};
  const server = await ownNatsServer(options);
  /** Another server replaces it. */
  const become = async (other: TlsFiles): Promise<void> => {
    options.tls = other;
    await server.restart();
  };
  return { server, become, url: `tls://127.0.0.1:${server.port}` };
}

const once: NodeConnectionOptions = { reconnect: false, timeout: 5000 };
/** Both kinds of connections that a service has: the client's own, and the one for data, whose transport is ours. */
const kinds = {
  control: async (options: NodeConnectionOptions) => connect(options),
  data: async (options: NodeConnectionOptions) => (await openDataConnection(options)).nc,
};

describe.each(Object.keys(kinds) as (keyof typeof kinds)[])('a connection for %s over TLS', (kind) => {
  const attempt = (url: string, more: { ca?: string }) =>
    kinds[kind]({ ...connectionOptions({ url, ...more }), ...once }).then(
      async (nc) => {
        await nc.close();
        return 'connected';
      },
      (thrown: unknown) => connectError(thrown, { servers: url }).details?.tls,
    );

  test('comes about with the CA that signed the server’s certificate', async () => {
    const { url } = await useServer(tlsOf('ours'));
    expect(await attempt(url, { ca: ca('ours') })).toBe('connected');
  });

  test.each([
    ['whose certificate another CA signed', 'theirs', 'ours', 'untrusted'],
    ['whose CA no system knows, where none is named', 'ours', undefined, 'untrusted'],
    ['whose certificate is for another name', 'elsewhere', 'elsewhere', 'other-name'],
  ] as const)('to a server %s does not', async (_what, whose, trusted, reason) => {
    const { url } = await useServer(tlsOf(whose));
    expect(await attempt(url, trusted ? { ca: ca(trusted) } : {})).toBe(reason);
  });

  test.each(['tls', 'nats'])('to a server without TLS does not, where %s:// and a CA ask for it', async (scheme) => {
    const { url } = await useServer();
    const asked = url.replace('tls:', `${scheme}:`);
    expect(await attempt(asked, { ca: ca('ours') })).toBe('no-tls');
  });

  test('does not come about again with a server that took the place of the true one, and does with that', async () => {
    const { server, url, become } = await useServer(tlsOf('ours'));
    const nc = await kinds[kind]({
      ...connectionOptions({ url, ca: ca('ours') }),
      ...{ maxReconnectAttempts: -1, reconnectTimeWait: 50, ignoreAuthErrorAbort: true },
    });
    onTestFinished(() => nc.close());
    const back = Promise.withResolvers<void>();
    let isTrue = false;
    void (async () => {
      for await (const { type } of nc.status()) {
        if (type !== 'reconnect') continue;
        if (isTrue) back.resolve();
        else back.reject(new Error('connected to the other server'));
      }
    })();
    const other = await become(tlsOf('theirs')).then(() => server.logs.length);
    const handshakes = () => server.logs.slice(other).filter((line) => /TLS handshake error/.test(line)).length;
    await Promise.race([expect.poll(handshakes, { timeout: 20_000 }).toBeGreaterThan(2), back.promise]);
    isTrue = true;
    await become(tlsOf('ours'));
    await back.promise;
    await nc.flush();
  });
});
