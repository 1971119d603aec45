import { beforeEach } from 'vitest';

/** The NATS URL of an unused account with JetStream on the server of this worker. */
export async function newNatsAccount(): Promise<string> {
  const { ZPSEND_TEST_ACCOUNTS: accounts, VITEST_POOL_ID: worker } = process.env;
  if (accounts === undefined) throw new Error('test/support/nats-server-setup.ts has not run');
  const response = await fetch(`${accounts}/${worker}`);
  const text = await response.text();
  if (!response.ok) throw new Error(text);
  return text;
}

/** A new account for each test of a file: call it at the top, and the returned function inside a test for its NATS URL. */
export function useNatsAccounts(): () => string {
  let url: string | undefined;
  beforeEach(async () => {
    url = await newNatsAccount();
  });
  return () => {
    if (url === undefined) throw new Error('the account is there in tests only');
    return url;
  };
}
