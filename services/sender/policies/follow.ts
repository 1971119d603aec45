import type { Bus } from '../../../lib/bus/connection/connect.ts';
import { isPermissionError } from '../../../lib/bus/jetstream/permission-error.ts';
import { onBucketWrites } from '../../../lib/bus/jetstream/watch-bucket.ts';
import { type BucketPolicy, makePolicyBucket, readPolicies } from '../../../lib/bus/policies/bucket.ts';
import { policiesBucket } from '../../../lib/bus/subjects.ts';
import type { Clock } from '../../../lib/time/clock.ts';
import { timing } from '../../../lib/time/timing.ts';
import { maxPoliciesOfAll } from '../../../schemas/policy.ts';
import type { Log } from '../../host/log.ts';
import { type ActivePolicies, activePolicies } from './active.ts';
import type { Policy } from './policy.ts';

export interface FollowDeps {
  readonly host: string;
  readonly bus: Bus;
  readonly log: Log;
  readonly clock: Clock;
  /** The configuration file's. */
  readonly policies: readonly Policy[];
  /** The bucket is read this often even without a write, in ms. */
  readonly reconcileMs: number;
}

/**
 * Reports the active policies, at once and whenever they may have changed. While the bucket cannot be read, its last contents
 * count.
 * @returns ends it
 */
export function followPolicies(deps: FollowDeps, use: (found: ActivePolicies) => void): () => void {
  const { host, bus, log, clock, policies, reconcileMs } = deps;
  const { afterWriteMs, longAfterWriteMs } = timing.policies;
  let entries: readonly BucketPolicy[] = [];
  let logged: string | undefined;
  /** Until the next reconnect. */
  let mayMake = true;
  let mayRead = true;
  let reading = Promise.resolve();
  let stopped = false;
  const soon = new Set<() => void>();

  async function read(): Promise<void> {
    try {
      const found = mayRead ? await readPolicies(bus, maxPoliciesOfAll) : entries;
      entries = found ?? [];
      if (!found && mayMake) {
        mayMake = false;
        await makePolicyBucket(bus);
        mayMake = true;
      }
      logged = undefined;
    } catch (error) {
      // if only the creation is denied, it is still read
      if (isPermissionError(error) && mayMake) mayRead = false;
      const why = error instanceof Error ? error.message : String(error);
      if (logged !== why && !stopped) log.warn('policy.unreadable', `the bucket of policies cannot be read: ${why}`);
      logged = why;
    }
    if (!stopped) use(activePolicies(host, policies, entries));
  }
  const readAgain = (): void => {
    reading = reading.then(() => (stopped ? undefined : read())).catch(() => {});
  };

  function onWrite(): void {
    for (const cancel of soon) cancel();
    soon.clear();
    for (const ms of [afterWriteMs, longAfterWriteMs]) soon.add(clock.after(ms, readAgain));
  }

  const stopEvents = onBucketWrites(bus, policiesBucket, '>', onWrite);
  const stopWatching = bus.onReconnected(() => {
    mayMake = true;
    mayRead = true;
    readAgain();
  });
  const stopReading = clock.every(reconcileMs, readAgain);
  // the file's policies do not wait for the bucket
  use(activePolicies(host, policies, entries));
  readAgain();
  return () => {
    stopped = true;
    stopReading();
    for (const cancel of soon) cancel();
    stopWatching();
    stopEvents();
  };
}
