import { setTimeout as sleep } from 'node:timers/promises';
import {
  AckPolicy,
  type ConsumerInfo,
  type ConsumerMessages,
  DeliverPolicy,
  DiscardPolicy,
  JetStreamApiError,
  type JetStreamManager,
  type JsMsg,
  RetentionPolicy,
} from '@nats-io/jetstream';
import { nanos, type Subscription } from '@nats-io/transport-node';
import { timing } from '../../time/timing.ts';
import type { Bus } from '../connection/connect.ts';
import { jetStreamOf, managerOf } from '../jetstream/jetstream.ts';
import { isGone } from '../jetstream/kv-bucket.ts';
import { isPermissionError } from '../jetstream/permission-error.ts';
import { withReplicas } from '../jetstream/replicas.ts';
import { eventsStream, subjects } from '../subjects.ts';

/** A message on `zfs.<host>.event.snapshot.created`. */
export interface SnapshotEvent {
  readonly data: Uint8Array;
  /** Acknowledges it. Until then, another instance receives it if this one dies. */
  taken(): void;
}

/** The time limit of an answer of JetStream, in milliseconds. */
const timeout = 4000;

/** Bounded in every way: a lost event only delays the job until the next listing. */
export const eventsConfig = {
  name: eventsStream,
  description: 'zpsend: datasets that have a new snapshot',
  subjects: [subjects.snapshotCreated('*')],
  retention: RetentionPolicy.Limits,
  discard: DiscardPolicy.Old,
  max_age: nanos(timing.events.keptMs),
  max_bytes: 64 * 1024 * 1024,
  // a host with too many events does not evict the events of others
  max_msgs_per_subject: 10_000,
  max_msg_size: 4096,
};

/** One consumer for all senders of a host. It expires after the events that it has not read. */
const consumerConfig = (host: string) => ({
  durable_name: host,
  filter_subject: subjects.snapshotCreated(host),
  ack_policy: AckPolicy.Explicit,
  deliver_policy: DeliverPolicy.New,
  ack_wait: nanos(10_000),
  inactive_threshold: nanos(timing.events.keptMs),
});

/** There is no such consumer (10014). */
const lacksConsumer = (error: unknown): boolean => error instanceof JetStreamApiError && error.code === 10014;

/** The consumer of a host's senders; creates a missing one. */
async function consumerOf(manager: JetStreamManager, host: string): Promise<ConsumerInfo> {
  try {
    return await manager.consumers.info(eventsStream, host);
  } catch (error) {
    if (!lacksConsumer(error)) throw error;
    return manager.consumers.add(eventsStream, consumerConfig(host));
  }
}

/** On a closing connection it fails, and the message is delivered again. */
function acknowledge(message: JsMsg): void {
  try {
    message.ack();
  } catch {
    // the connection is closed
  }
}

/** Publishes that a host has a new snapshot. */
export const publishSnapshotCreated = (bus: Bus, host: string, snapshot: string): void =>
  bus.nc.publish(subjects.snapshotCreated(host), snapshot);

/**
 * Subscribes to a host's snapshot events, each delivered to one sender instance. Uses the durable stream `ZFS_EVENTS`; falls back to a
 * plain subscription while the stream is unavailable.
 * @param received must not throw
 * @param report called at each change between the two, with a text for the log
 * @returns a function that unsubscribes
 */
export function hearSnapshots(
  bus: Bus,
  host: string,
  received: (event: SnapshotEvent) => void,
  report: (event: 'snapshot-event.not-kept' | 'snapshot-event.kept-again', text: string) => void,
): () => void {
  const stop = new AbortController();
  let plain: Subscription | undefined;
  let kept: ConsumerMessages | undefined;
  let reported: string | undefined;
  let mayCreate = true;

  function subscribePlainly(why: string): void {
    plain ??= bus.nc.subscribe(subjects.snapshotCreated(host), {
      queue: 'sender',
      callback: (error, message) => {
        if (!error) received({ data: message.data, taken: () => {} });
      },
    });
    if (why === reported) return;
    reported = why;
    report('snapshot-event.not-kept', `snapshot events arrive only while this sender runs, since ${why}`);
  }

  /** Waits for the next attempt. Each denied permission is logged on both sides, so it is retried only after a reconnect. */
  async function untilNextAttempt(error: unknown, tries: number): Promise<void> {
    const again = new AbortController();
    const stopWatching = bus.onReconnected(() => again.abort());
    const ms = isPermissionError(error) ? 2 ** 31 - 1 : Math.min(300_000, 1000 * 2 ** tries);
    const signal = AbortSignal.any([stop.signal, again.signal]);
    await sleep(ms, undefined, { ref: false, signal }).catch(() => {});
    stopWatching();
  }

  async function ensureStream(manager: JetStreamManager): Promise<void> {
    try {
      await manager.streams.info(eventsStream);
    } catch (error) {
      if (!isGone(error)) throw error;
      if (!mayCreate) throw new Error(`there is no stream ${eventsStream}, and this user may not create it`);
      // a user who may not create it is refused once, and does not ask again
      mayCreate = false;
      await withReplicas((num_replicas) => manager.streams.add({ ...eventsConfig, num_replicas }));
      mayCreate = true;
    }
  }

  /** Resolves or rejects when the stream delivers no more events. */
  async function follow(began: () => void): Promise<void> {
    const manager = await managerOf(bus, timeout);
    await ensureStream(manager);
    const consumer = jetStreamOf(bus, timeout).consumers.getConsumerFromInfo(await consumerOf(manager, host));
    kept = await consumer.consume({
      max_messages: 256,
      abort_on_missing_resource: true,
      callback: (message) => received({ data: message.data, taken: () => acknowledge(message) }),
    });
    began();
    const error = await kept.closed();
    if (error) throw error;
  }

  async function followForever(): Promise<void> {
    let tries = 0;
    const began = () => {
      tries = 0;
      plain?.unsubscribe();
      plain = undefined;
      if (reported !== undefined)
        report(
          'snapshot-event.kept-again',
          'snapshot events come from the stream again, which keeps them while no sender runs',
        );
      reported = undefined;
      if (stop.signal.aborted) kept?.stop();
    };
    while (!stop.signal.aborted) {
      const error = await follow(began).then(
        () => new Error('the consumer of the stream ended'),
        (thrown: unknown) => thrown,
      );
      if (stop.signal.aborted) return;
      subscribePlainly(error instanceof Error ? error.message : String(error));
      tries += 1;
      await untilNextAttempt(error, tries);
    }
  }

  void followForever().catch(() => {});
  return () => {
    stop.abort();
    kept?.stop();
    plain?.unsubscribe();
  };
}
