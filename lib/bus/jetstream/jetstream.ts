import {
  type JetStreamClient,
  type JetStreamManager,
  type JetStreamOptions,
  jetstream,
  jetstreamManager,
} from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';

/** A JetStream: that of the server connected to, or, behind the link of a leaf node, that of another domain (ADR-19). */
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

/** Nothing is asked here: that there is no such JetStream, the first request finds. @param timeout of each, in milliseconds */
export const managerOf = (at: JetStreamAt, timeout: number): Promise<JetStreamManager> =>
  jetstreamManager(at.nc, { ...optionsOf(at, timeout), checkAPI: false });

/** The name of a bucket where another JetStream may have one of that name. */
export const nameAt = ({ domain }: JetStreamAt, name: string): string =>
  domain === undefined ? name : `${name} in the JetStream domain ${domain}`;
