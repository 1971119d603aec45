import type { Bus } from '../../../lib/bus/connection/connect.ts';
import { isPermissionError } from '../../../lib/bus/jetstream/permission-error.ts';
import { onBucketWrites } from '../../../lib/bus/jetstream/watch-bucket.ts';
import { type BucketPolicy, makePolicyBucket, readPolicies } from '../../../lib/bus/policies/bucket.ts';
import { policiesBucket } from '../../../lib/bus/subjects.ts';
import { reconcileMsOf } from '../../../lib/settings/settings.ts';
import type { Clock } from '../../../lib/time/clock.ts';
import { timing } from '../../../lib/time/timing.ts';
import { maxPoliciesOfAll } from '../../../schemas/policy.ts';
import { type CurrentSettings, onChangeOf } from '../../host/current-settings.ts';
import type { Log } from '../../host/log.ts';
import { type ActivePolicies, activePolicies, filePolicies } from './active.ts';

export interface FollowDeps {
  readonly host: string;
  readonly bus: Bus;
  readonly log: Log;
  readonly clock: Clock;
  /** With the configuration file's policies, and how often the bucket is read even without a write. */
  readonly settings: CurrentSettings;
}

/**
 * Reports the active policies, at once and whenever they may have changed. While the bucket cannot be read, its last contents
 * count.
 * @returns ends it
 */
export function followPolicies(deps: FollowDeps, use: (found: ActivePolicies) => void): () => void {
  const { host, bus, log, clock, settings } = deps;
  const { afterWriteMs, longAfterWriteMs } = timing.policies;
  let entries: readonly BucketPolicy[] = [];
  let logged: string | undefined;
  /** Until the next reconnect. */
  let [mayMake, mayRead] = [true, true];
  let reading = Promise.resolve();
  let stopped = false;
  const soon = new Set<() => void>();

  const useAll = () => use(activePolicies(host, filePolicies(host, settings.now.config.send.policies), entries));

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
    if (!stopped) useAll();
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
  const everyReconcile = () => clock.every(reconcileMsOf(settings.now), readAgain);
  let stopReading = everyReconcile();
  const unsubscribe = [
    onChangeOf(settings, reconcileMsOf, () => {
      stopReading();
      stopReading = everyReconcile();
    }),
    settings.onChange(useAll),
  ];
  // the file's policies do not wait for the bucket
  useAll();
  readAgain();
  return () => {
    stopped = true;
    for (const end of unsubscribe) end();
    stopReading();
    for (const cancel of soon) cancel();
    stopWatching();
    stopEvents();
  };
}
