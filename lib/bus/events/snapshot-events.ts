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
import type { Clock } from '../../time/clock.ts';
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

type Receive = (event: SnapshotEvent) => void;
type Report = (event: 'snapshot-event.not-kept' | 'snapshot-event.kept-again', text: string) => void;

/** The plain subscription while the stream is unavailable. Reports each change between the two. */
function openFallback(bus: Bus, host: string, received: Receive, report: Report) {
  let plain: Subscription | undefined;
  let reported: string | undefined;
  return {
    begin(why: string): void {
      plain ??= bus.nc.subscribe(subjects.snapshotCreated(host), {
        queue: 'sender',
        callback: (error, message) => {
          if (!error) received({ data: message.data, taken: () => {} });
        },
      });
      if (why === reported) return;
      reported = why;
      report('snapshot-event.not-kept', `snapshot events arrive only while this sender runs, since ${why}`);
    },
    /** The stream delivers again. */
    end(): void {
      plain?.unsubscribe();
      plain = undefined;
      if (reported !== undefined)
        report(
          'snapshot-event.kept-again',
          'snapshot events come from the stream again, which keeps them while no sender runs',
        );
      reported = undefined;
    },
    stop(): void {
      plain?.unsubscribe();
    },
  };
}

/** Creates a missing stream. A user who may not create it is refused once, and does not ask again. */
function streamMaker(): (manager: JetStreamManager) => Promise<void> {
  let mayCreate = true;
  return async (manager) => {
    try {
      await manager.streams.info(eventsStream);
    } catch (error) {
      if (!isGone(error)) throw error;
      if (!mayCreate) throw new Error(`there is no stream ${eventsStream}, and this user may not create it`);
      mayCreate = false;
      await withReplicas((num_replicas) => manager.streams.add({ ...eventsConfig, num_replicas }));
      mayCreate = true;
    }
  };
}

/** How long to wait after a failure. Each denied permission is logged on both sides, so it is retried only after a reconnect. */
const pauseAfter = (error: unknown, tries: number): number =>
  isPermissionError(error) ? Number.POSITIVE_INFINITY : Math.min(300_000, 1000 * 2 ** tries);

/** Resolves after this time, at a reconnect, and when `stopped` is aborted. Does not keep the process alive. */
async function untilNextAttempt(bus: Bus, clock: Clock, ms: number, stopped: AbortSignal): Promise<void> {
  const due = Promise.withResolvers<void>();
  const resume = (): void => due.resolve();
  const stopWatching = bus.onReconnected(resume);
  const cancel = clock.after(ms, resume);
  stopped.addEventListener('abort', resume);
  if (!stopped.aborted) await due.promise;
  stopped.removeEventListener('abort', resume);
  cancel();
  stopWatching();
}

/**
 * Subscribes to a host's snapshot events, each delivered to one sender instance. Uses the durable stream `ZFS_EVENTS`; falls back to a
 * plain subscription while the stream is unavailable.
 * @param received must not throw
 * @param report called at each change between the two, with a text for the log
 * @returns a function that unsubscribes
 */
export function onSnapshotCreated(bus: Bus, host: string, received: Receive, report: Report): () => void {
  const { clock } = bus;
  const stop = new AbortController();
  const fallback = openFallback(bus, host, received, report);
  const ensureStream = streamMaker();
  let kept: ConsumerMessages | undefined;

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
      fallback.end();
      if (stop.signal.aborted) kept?.stop();
    };
    while (!stop.signal.aborted) {
      const error = await follow(began).then(
        () => new Error('the consumer of the stream ended'),
        (thrown: unknown) => thrown,
      );
      if (stop.signal.aborted) return;
      fallback.begin(error instanceof Error ? error.message : String(error));
      tries += 1;
      await untilNextAttempt(bus, clock, pauseAfter(error, tries), stop.signal);
    }
  }

  void followForever().catch(() => {});
  return () => {
    stop.abort();
    kept?.stop();
    fallback.stop();
  };
}
