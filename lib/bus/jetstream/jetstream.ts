import {
  type JetStreamClient,
  type JetStreamManager,
  type JetStreamOptions,
  jetstream,
  jetstreamManager,
} from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';

/** The JetStream of the server connected to, or that of another domain across a leaf node connection (ADR-19). */
export interface JetStreamAt {
  readonly nc: NatsConnection;
  readonly domain?: string | undefined;
}

const optionsOf = ({ domain }: JetStreamAt, timeout: number): JetStreamOptions => ({
  timeout,
  ...(domain !== undefined && { domain }),
});

/** @param timeout of each request, in milliseconds */
export const jetStreamOf = (at: JetStreamAt, timeout: number): JetStreamClient =>
  jetstream(at.nc, optionsOf(at, timeout));

/** Sends no request, so only the first request finds that there is no such JetStream. @param timeout of each request, in milliseconds */
export const managerOf = (at: JetStreamAt, timeout: number): Promise<JetStreamManager> =>
  jetstreamManager(at.nc, { ...optionsOf(at, timeout), checkAPI: false });

/** The name of a bucket, for messages, with its JetStream domain if that is another one. */
export const nameAt = ({ domain }: JetStreamAt, name: string): string =>
  domain === undefined ? name : `${name} in the JetStream domain ${domain}`;

const domainTimeout = 4000;

/** The JetStream domain of the server connected to; undefined if it has none. */
export async function ownDomain(at: JetStreamAt): Promise<string | undefined> {
  const { domain } = await (await managerOf(at, domainTimeout)).getAccountInfo();
  return domain || undefined;
}
