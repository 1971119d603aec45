import type { StreamInfo } from '@nats-io/jetstream';
import { type Clock, systemClock } from '../../time/clock.ts';
import { timing } from '../../time/timing.ts';
import type { Bus } from '../connection/connect.ts';
import { keySubject } from '../subjects.ts';
import { managerOf } from './jetstream.ts';
import { isGone } from './kv-bucket.ts';
import { isPermissionError } from './permission-error.ts';

/** How long JetStream may take to answer, in milliseconds. */
const timeout = 4000;

/** Another one after each write, deletion and purge, and of a bucket that was made anew. */
const markOf = ({ created, state }: Pick<StreamInfo, 'created' | 'state'>): string =>
  [created, state.last_seq, state.messages].join(' ');

/** @throws Error where JetStream is off, does not answer, or may not be asked */
async function markNow(bus: Bus, bucket: string): Promise<string> {
  try {
    return markOf(await (await managerOf(bus, timeout)).streams.info(`KV_${bucket}`));
  } catch (error) {
    if (isGone(error)) return 'no bucket';
    throw error;
  }
}

/**
 * Asks for a mark by the clock, and calls back when it is another one than before: at the first one too, and at the first after a failure,
 * since it is unknown what came before it. What is forbidden is not asked for again on this connection.
 * @returns a function that ends it
 */
export function followMark(
  ask: () => Promise<string>,
  onReconnected: Bus['onReconnected'],
  changed: () => void,
  clock: Clock = systemClock,
): () => void {
  let known: string | undefined;
  let isAsking = false;
  let mayAsk = true;
  let stopped = false;

  async function look(): Promise<void> {
    if (isAsking || !mayAsk) return;
    isAsking = true;
    const mark = await ask().catch((error: unknown) => {
      if (isPermissionError(error)) mayAsk = false;
      return undefined;
    });
    isAsking = false;
    const isNews = mark !== undefined && mark !== known;
    known = mark;
    if (isNews && !stopped) changed();
  }

  const stopLooking = clock.every(timing.events.bucketMs, () => void look());
  const stopWatching = onReconnected(() => {
    mayAsk = true;
  });
  return () => {
    stopped = true;
    stopLooking();
    stopWatching();
  };
}

/**
 * Calls back when keys of a bucket may have been written, whether or not that was accepted: at once where the write is seen, else
 * within some 15 seconds. Between accounts none is seen, since nats-server gives no stream import what came by a service import.
 * @param keys as a subject has them, wildcards included; a write to other keys of the bucket may count too
 * @param written must not throw
 * @returns a function that ends it
 */
export function onBucketWrites(bus: Bus, bucket: string, keys: string, written: () => void): () => void {
  const subscription = bus.nc.subscribe(keySubject(bucket, keys), {
    callback: (error) => {
      if (!error) written();
    },
  });
  const leave = followMark(() => markNow(bus, bucket), bus.onReconnected, written);
  return () => {
    subscription.unsubscribe();
    leave();
  };
}
