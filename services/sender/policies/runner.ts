import { onSnapshotCreated, type SnapshotEvent } from '../../../lib/bus/events/snapshot-events.ts';
import { decodeRequest } from '../../../lib/bus/rpc/codec.ts';
import { reconcileMsOf } from '../../../lib/settings/settings.ts';
import { timing } from '../../../lib/time/timing.ts';
import { type ErrorBody, ZpsendError } from '../../../schemas/errors.ts';
import type { Policies } from '../../../schemas/policy.ts';
import { snapshotCreatedSchema } from '../../../schemas/snapshot-created.ts';
import { type CurrentSettings, onChangeOf } from '../../host/current-settings.ts';
import type { Log } from '../../host/log.ts';
import type { ActivePolicies } from './active.ts';
import { followPolicies } from './follow.ts';
import { openPolicyJobs, type PolicyJobsDeps } from './policy-jobs.ts';
import { openPolicyLog } from './policy-log.ts';
import type { TargetTimes } from './target-state.ts';
import { type OpenTarget, openPolicyTargets } from './targets.ts';

export interface PolicyRunnerDeps extends PolicyJobsDeps {
  readonly log: Log;
  readonly settings: CurrentSettings;
}

export interface PolicyRunner {
  status(): Policies;
  /** Starts no more jobs; running ones continue. */
  stop(): void;
}

/** Runs the policies of a host: after each new snapshot, and from time to time. */
export function openPolicyRunner(deps: PolicyRunnerDeps): PolicyRunner {
  const { host, bus, log, clock, settings } = deps;
  const policyTargets = openPolicyTargets(timesOf(settings));
  const policyLog = openPolicyLog(log);
  const policyJobs = openPolicyJobs(deps, policyTargets, policyLog, schedule);
  let activePolicies: ActivePolicies = { policies: [], refused: [] };
  let cancelRun = (): void => {};
  let stopSnapshotEvents: (() => void) | undefined;
  let stopped = false;

  /** Sets the timer for the next run. */
  function schedule(): void {
    cancelRun();
    const { due } = policyTargets;
    if (stopped || due === undefined) return;
    cancelRun = clock.after(due - clock.now(), run);
  }

  function run(): void {
    const woken = policyTargets.wake(clock.now());
    for (const some of Map.groupBy(woken, ({ policy }) => policy).values()) policyJobs.start(some);
    schedule();
  }

  function onSnapshot({ data, taken }: SnapshotEvent): void {
    let snapshot: string;
    try {
      ({ snapshot } = decodeRequest(data, snapshotCreatedSchema, (text) => ({ snapshot: text })));
    } catch (thrown) {
      taken();
      policyLog.malformed(ZpsendError.from(thrown), clock.now());
      return;
    }
    policyTargets.trigger(snapshot, clock.now(), taken);
    schedule();
  }

  function use(found: ActivePolicies): void {
    if (stopped) return;
    policyLog.active(activePolicies, found);
    activePolicies = found;
    policyTargets.use(found.policies, clock.now());
    // a host without policies needs no events
    if (found.policies.length > 0) stopSnapshotEvents ??= onSnapshotCreated(bus, host, onSnapshot, log.warn);
    schedule();
  }

  // before the policies are followed: their next use sets the timer
  const unsubscribe = onChangeOf(settings, reconcileMsOf, () => policyTargets.reconcileSooner(clock.now()));
  const leave = followPolicies(deps, use);
  const stopWatching = onceReconnected({ bus, clock }, () => {
    policyTargets.triggerAll(clock.now());
    schedule();
  });

  return {
    status: () => ({ host, ...policiesOf(activePolicies, [...policyTargets.all.values()]) }),
    stop() {
      stopped = true;
      cancelRun();
      stopWatching();
      unsubscribe();
      leave();
      policyJobs.stop();
      stopSnapshotEvents?.();
    },
  };
}

function timesOf(settings: CurrentSettings): TargetTimes {
  // instances that were started together run at different times
  const spread = 1 + Math.random() / 10;
  return {
    quiet: timing.policies.quietMs,
    mostQuiet: timing.policies.mostQuietMs,
    get reconcile() {
      return reconcileMsOf(settings.now) * spread;
    },
    silence: timing.policies.silenceMs,
  };
}

/** Events were missed while the connection was lost: instances check at different times. @returns ends it */
const onceReconnected = ({ bus, clock }: Pick<PolicyRunnerDeps, 'bus' | 'clock'>, look: () => void): (() => void) =>
  bus.onReconnected(() => void clock.after(Math.random() * timing.policies.reconnectSpreadMs, look));

const policiesOf = (
  { policies, refused }: ActivePolicies,
  policyTargets: readonly OpenTarget[],
): Pick<Policies, 'policies' | 'refused'> => ({
  policies: policies.map((policy) => ({
    name: policy.name,
    dataset: policy.dataset,
    recursive: policy.isRecursive,
    targets: policyTargets
      .filter((policyTarget) => policyTarget.policy === policy)
      .map(({ context, state, error }) => ({
        host: context.targetHost,
        dataset: context.targetDataset,
        state: state.phase,
        ...(error && { error: inShort(error) }),
      })),
  })),
  refused: [...refused],
});

/** Short, since many of them are in one message. */
const inShort = ({ code, message, retryable }: ErrorBody): ErrorBody => ({
  code,
  message: message.slice(0, 300),
  retryable,
});
