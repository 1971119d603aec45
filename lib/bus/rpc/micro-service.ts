import type { Msg } from '@nats-io/transport-node';
import type { Bus } from '../connection/connect.ts';
import { isAnswerable, type Served } from './serve.ts';

/** The description of a service for `nats micro ls`, `info` and `stats` (ADR-32). */
export interface ServiceIdentity {
  name: string;
  id: string;
  version: string;
  description: string;
  metadata: Record<string, string>;
}

const types = {
  PING: 'io.nats.micro.v1.ping_response',
  INFO: 'io.nats.micro.v1.info_response',
  STATS: 'io.nats.micro.v1.stats_response',
} as const;

type Verb = keyof typeof types;

const endpointInfo = ({ stats }: Served) => ({
  name: stats.name,
  subject: stats.subject,
  queue_group: stats.queue,
  metadata: {},
});

const endpointStats = ({ stats }: Served) => ({
  name: stats.name,
  subject: stats.subject,
  queue_group: stats.queue,
  num_requests: stats.requests,
  num_errors: stats.errors,
  last_error: stats.lastError,
  processing_time: stats.processing,
  average_processing_time: stats.requests === 0 ? 0 : Math.round(stats.processing / stats.requests),
});

/**
 * Answers `$SRV.PING|INFO|STATS`, each without a name, with the name, and with the name and the id.
 * @returns a function that stops answering
 */
export function announce(bus: Bus, identity: ServiceIdentity, endpoints: readonly Served[]): () => void {
  const started = new Date().toISOString();
  const { name, id, version, description, metadata } = identity;
  const about = { name, id, version, metadata };
  const bodies: Record<Verb, () => object> = {
    PING: () => about,
    INFO: () => ({ ...about, description, endpoints: endpoints.map(endpointInfo) }),
    STATS: () => ({ ...about, started, endpoints: endpoints.map(endpointStats) }),
  };
  const answer = (verb: Verb) => (error: Error | null, message: Msg) => {
    if (!error && isAnswerable(message.reply))
      message.respond(JSON.stringify({ type: types[verb], ...bodies[verb]() }));
  };
  const subscriptions = (Object.keys(types) as Verb[]).flatMap((verb) =>
    [`$SRV.${verb}`, `$SRV.${verb}.${name}`, `$SRV.${verb}.${name}.${id}`].map((subject) =>
      bus.nc.subscribe(subject, { callback: answer(verb) }),
    ),
  );
  return () => {
    for (const subscription of subscriptions) subscription.unsubscribe();
  };
}
