import { afterAll, beforeAll } from 'vitest';
import { type NatsServer, type StartOptions, startNatsServer } from '../../tools/nats-server/start.ts';

/** One nats-server for all tests of a file: call it at the top, and the returned function inside a test. */
export const useNatsServer = (options: StartOptions = { jetstream: true }): (() => NatsServer) => {
  let server: NatsServer | undefined;
  beforeAll(async () => {
    server = await startNatsServer(options);
  });
  afterAll(() => server?.stop());
  return () => {
    if (!server) throw new Error('the nats-server is there in tests and hooks only');
    return server;
  };
};
