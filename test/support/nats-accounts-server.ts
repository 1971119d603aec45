import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type NatsServer, startNatsServer } from '../../tools/nats-server/start.ts';

/** Accounts of one server; a worker that has used them up gets a second server, whose start costs less than a reload. */
const accountsPerServer = 64;

const accountConfig = (account: number): string =>
  `t${account} { jetstream { max_mem: 1GB, max_file: 128GB }, users: [{ user: t${account}, password: test }] }`;

/** Streams that tests leave behind still reserve what they may hold; the disk itself is not checked. */
const config = [
  'jetstream { max_mem: 64GB, max_file: 64TB }',
  `accounts { ${Array.from({ length: accountsPerServer }, (_, account) => accountConfig(account)).join('\n')} }`,
].join('\n');

interface Shared {
  readonly server: Promise<NatsServer>;
  used: number;
}

/**
 * Gives unused accounts of shared nats-servers to the test files of this run, one server for each worker.
 * A GET of `/<worker>` answers the account's NATS URL; the first one starts the worker's server.
 */
export async function serveNatsAccounts(): Promise<{ url: string; stop(): Promise<void> }> {
  const all: Shared[] = [];
  const byWorker = new Map<string, Shared>();
  const serverOf = (worker: string): Shared => {
    const known = byWorker.get(worker);
    if (known && known.used < accountsPerServer) return known;
    const fresh = { server: startNatsServer({ jetstream: true, config }), used: 0 };
    byWorker.set(worker, fresh);
    all.push(fresh);
    return fresh;
  };
  const http = createServer((request, response) => {
    const shared = serverOf(request.url ?? '');
    const account = shared.used;
    shared.used += 1;
    shared.server.then(
      ({ port }) => response.end(`nats://t${account}:test@127.0.0.1:${port}`),
      (error: Error) => response.writeHead(500).end(error.message),
    );
  });
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(http.address() as AddressInfo).port}`,
    async stop() {
      http.close();
      http.closeAllConnections();
      await Promise.allSettled(all.map(async ({ server }) => (await server).stop()));
    },
  };
}
