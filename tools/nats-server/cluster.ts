import { createServer } from 'node:net';
import { type NatsServer, type StartOptions, startNatsServer } from './start.ts';

export type ClusterStartOptions = Omit<StartOptions, 'cluster' | 'name' | 'port' | 'storeDir'>;

/**
 * Starts `size` servers on 127.0.0.1 as one cluster and resolves when all serve; with JetStream that means they have a leader.
 * Each can be killed and restarted alone.
 * @throws Error with the log lines of the server that did not become ready; stops the others
 */
export const startNatsCluster = async (size: number, options: ClusterStartOptions = {}): Promise<NatsServer[]> => {
  const routes = await freePorts(size);
  const started = await Promise.allSettled(
    routes.map((port, index) =>
      startNatsServer({
        readyWithin: 120_000,
        ...options,
        name: `n${index + 1}`,
        cluster: { name: 'zpsend', port, routes },
      }),
    ),
  );
  const servers = started.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
  const failed = started.find((result) => result.status === 'rejected');
  if (failed) {
    await Promise.all(servers.map((server) => server.stop()));
    throw failed.reason;
  }
  return servers;
};

/** Finds free route ports before the first server starts; keeps all of them open until the last one is found. */
const freePorts = async (count: number): Promise<number[]> => {
  const listeners = await Promise.all(
    Array.from({ length: count }, async () => {
      const listener = createServer();
      await new Promise<void>((resolve, reject) => {
        listener.once('error', reject).listen(0, '127.0.0.1', resolve);
      });
      return listener;
    }),
  );
  return Promise.all(
    listeners.map(async (listener) => {
      const address = listener.address();
      await new Promise((resolve) => listener.close(resolve));
      if (address === null || typeof address === 'string') throw new Error('no free port');
      return address.port;
    }),
  );
};
