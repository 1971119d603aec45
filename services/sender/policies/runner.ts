import type { Bus } from '../../../lib/bus/connection/connect.ts';
import { hearSnapshots, type SnapshotEvent } from '../../../lib/bus/events/snapshot-events.ts';
import { decodeRequest } from '../../../lib/bus/rpc/codec.ts';
import type { Clock } from '../../../lib/time/clock.ts';
import { timing } from '../../../lib/time/timing.ts';
import { type ErrorBody, ZpsendError } from '../../../schemas/errors.ts';
import type { Job } from '../../../schemas/job.ts';
import type { Policies } from '../../../schemas/policy.ts';
import { snapshotCreatedSchema } from '../../../schemas/snapshot-created.ts';
import type { Log } from '../../host/log.ts';
import type { RunningJob } from '../job/job.ts';
import type { Jobs } from '../job/registry.ts';
import type { ActivePolicies } from './active.ts';
import { followPolicies } from './follow.ts';
import { observeJobs } from './other-senders.ts';
import type { Policy } from './policy.ts';
import { openPolicyLog } from './policy-log.ts';
import type { Outcome, TargetTimes } from './target-state.ts';
import { type OpenTarget, openPolicyTargets } from './targets.ts';

export interface PolicyRunnerDeps {
  readonly host: string;
  readonly bus: Bus;
  readonly log: Log;
  readonly clock: Clock;
  readonly jobs: Pick<Jobs, 'start'>;
  /** The configuration file's. */
  readonly policies: readonly Policy[];
  /** From one run of each policy to the next, without a trigger, in ms. */
  readonly reconcileMs: number;
}

export interface PolicyRunner {
  status(): Policies;
  /** Starts no more jobs; running ones continue. */
  stop(): void;
}

/** Runs the policies of a host: after each new snapshot, and from time to time. */
export function openPolicyRunner(deps: PolicyRunnerDeps): PolicyRunner {
  const { host, bus, log, clock, jobs, reconcileMs } = deps;
  const policyTargets = openPolicyTargets(timesOf(reconcileMs));
  const policyLog = openPolicyLog(log);
  /** The policy targets of this sender's own jobs. */
  const ours = new Map<string, OpenTarget>();
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
    for (const some of Map.groupBy(woken, ({ policy }) => policy).values()) start(some);
    schedule();
  }

  function start(started: readonly OpenTarget[]): void {
    const jobsOrError = startJobs(jobs, started);
    if ('code' in jobsOrError) {
      // a sender with the most jobs that it may run tries again
      for (const policyTarget of started) ended(policyTarget, jobsOrError, jobsOrError.code !== 'BUSY');
      return;
    }
    for (const [policyTarget, job] of jobsOrError) {
      ours.set(job.id, policyTarget);
      void job.over.then(() => {
        // its last events may still arrive
        clock.after(timing.policies.lastEventsMs, () => ours.delete(job.id));
        ended(policyTarget, job.status().error, true, job.status());
        schedule();
      });
    }
  }

  function ended(policyTarget: OpenTarget, error: ErrorBody | undefined, isNews: boolean, job?: Job): void {
    // the policy may no longer exist
    if (stopped || policyTargets.all.get(policyTarget.key) !== policyTarget) return;
    const outcome = outcomeOf(error, job);
    policyTarget.error = error;
    if (isNews) policyLog.ended(policyTarget.key, error, outcome);
    policyTargets.feed(policyTarget.key, { type: 'ended', now: clock.now(), outcome });
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
    if (found.policies.length > 0) stopSnapshotEvents ??= hearSnapshots(bus, host, onSnapshot, log.warn);
    schedule();
  }

  const stopJobEvents = observeJobs(bus, host, (job, policyTarget, runs) => {
    const own = ours.get(job);
    if (own && policyTargets.all.get(policyTarget) === own) return;
    policyTargets.feed(policyTarget, { type: runs ? 'other-runs' : 'other-over', now: clock.now() });
    schedule();
  });
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
      leave();
      stopJobEvents();
      stopSnapshotEvents?.();
    },
  };
}

const timesOf = (reconcileMs: number): TargetTimes => ({
  quiet: timing.policies.quietMs,
  mostQuiet: timing.policies.mostQuietMs,
  // instances that were started together run at different times
  reconcile: reconcileMs * (1 + Math.random() / 10),
  silence: timing.policies.silenceMs,
});

/** @returns the started jobs, each with its policy target, or why there are none */
function startJobs(
  jobs: PolicyRunnerDeps['jobs'],
  started: readonly OpenTarget[],
): [OpenTarget, RunningJob][] | ErrorBody {
  try {
    const contexts = started.map(({ context }) => context);
    const running = jobs.start(contexts, { startedBy: 'policy' });
    return running.flatMap((job, at): [OpenTarget, RunningJob][] => {
      const policyTarget = started[at];
      return policyTarget ? [[policyTarget, job]] : [];
    });
  } catch (thrown) {
    return ZpsendError.from(thrown).toBody();
  }
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

/** A package is tried again if the failure of any of its datasets may pass. */
function outcomeOf(error: ErrorBody | undefined, job: Job | undefined): Outcome {
  if (!error) return 'done';
  const all = [error, ...(job?.datasets.list ?? []).flatMap((dataset) => dataset.error ?? [])];
  return all.some(({ retryable }) => retryable) ? 'passing' : 'refused';
}
