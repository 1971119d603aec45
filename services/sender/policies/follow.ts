import type { Bus } from '../../../lib/bus/connection/connect.ts';
import { isPermissionError } from '../../../lib/bus/jetstream/permission-error.ts';
import { onBucketWrites } from '../../../lib/bus/jetstream/watch-bucket.ts';
import { type BucketPolicy, makePolicyBucket, readPolicies } from '../../../lib/bus/policies/bucket.ts';
import { policiesBucket } from '../../../lib/bus/subjects.ts';
import { maxPoliciesOfAll } from '../../../schemas/policy.ts';
import type { Log } from '../../host/log.ts';
import { type ActivePolicies, activePolicies } from './active.ts';
import type { Policy } from './policy.ts';

export interface SourcesDeps {
  readonly host: string;
  readonly bus: Bus;
  readonly log: Log;
  /** The configuration file's. */
  readonly policies: readonly Policy[];
  /** The bucket is read this often whatever was heard of it, in milliseconds. */
  readonly reconcileMs: number;
}

/** After somebody wrote to the bucket it is read again: soon, and once more when a slow cluster must have it, in milliseconds. */
const afterWrite = [100, 2000];

/**
 * Tells which policies are in force, at once and whenever that may have changed. Where the bucket cannot be read, what was last
 * read of it stands.
 * @returns a function that ends it
 */
export function followPolicies(deps: SourcesDeps, use: (found: ActivePolicies) => void): () => void {
  const { host, bus, log, policies, reconcileMs } = deps;
  let entries: readonly BucketPolicy[] = [];
  let said: string | undefined;
  /** Until the connection is a new one. */
  let mayMake = true;
  let mayRead = true;
  let reading = Promise.resolve();
  let stopped = false;
  const soon = new Set<NodeJS.Timeout>();

  async function look(): Promise<void> {
    try {
      const found = mayRead ? await readPolicies(bus, maxPoliciesOfAll) : entries;
      entries = found ?? [];
      if (!found && mayMake) {
        mayMake = false;
        await makePolicyBucket(bus);
        mayMake = true;
      }
      said = undefined;
    } catch (error) {
      // where it was the making, it is read again all the same
      if (isPermissionError(error) && mayMake) mayRead = false;
      const why = error instanceof Error ? error.message : String(error);
      if (said !== why && !stopped) log.warn('policy.unreadable', `the bucket of policies cannot be had: ${why}`);
      said = why;
    }
    if (!stopped) use(activePolicies(host, policies, entries));
  }
  const lookAgain = (): void => {
    reading = reading.then(() => (stopped ? undefined : look())).catch(() => {});
  };

  function onWrite(): void {
    for (const timer of soon) clearTimeout(timer);
    soon.clear();
    for (const ms of afterWrite) soon.add(setTimeout(lookAgain, ms).unref());
  }

  const stopEvents = onBucketWrites(bus, policiesBucket, '>', onWrite);
  const stopWatching = bus.onReconnected(() => {
    mayMake = true;
    mayRead = true;
    lookAgain();
  });
  const timer = setInterval(lookAgain, Math.min(reconcileMs, 2 ** 31 - 1)).unref();
  // the file's do not wait for the bucket
  use(activePolicies(host, policies, entries));
  lookAgain();
  return () => {
    stopped = true;
    clearInterval(timer);
    for (const each of soon) clearTimeout(each);
    stopWatching();
    stopEvents();
  };
}
