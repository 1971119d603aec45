import { afterAll, beforeAll, onTestFinished } from 'vitest';
import { type NatsServer, type StartOptions, startNatsServer } from '../../tools/nats-server/start.ts';

const withJetStream: StartOptions = { jetstream: true };

/** One nats-server for all tests of a file: call it at the top, and the returned function inside a test. */
export const useNatsServer = (options = withJetStream): (() => NatsServer) => {
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

/** A nats-server for one test, which may restart it or change its configuration. Other tests take an account (nats-account.ts). */
export async function ownNatsServer(options = withJetStream): Promise<NatsServer> {
  const server = await startNatsServer(options);
  onTestFinished(() => server.stop());
  return server;
}
