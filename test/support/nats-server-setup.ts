import { findNatsServer } from '../../tools/nats-server/find.ts';
import { serveNatsAccounts } from './nats-accounts-server.ts';

/** Brings the nats-server once, before any worker's clock runs; workers find it, and accounts on shared servers, by their environment. */
export const setup = async (): Promise<(() => Promise<void>) | undefined> => {
  try {
    const { path } = await findNatsServer({ log: (line) => console.error(line) });
    process.env.NATS_SERVER_BIN = path;
  } catch (error) {
    // tests without a bus still run; the others fail with the same words
    console.error(error instanceof Error ? error.message : error);
    return undefined;
  }
  const accounts = await serveNatsAccounts();
  process.env.ZPSEND_TEST_ACCOUNTS = accounts.url;
  return accounts.stop;
};
