import type { Bus } from '../../../lib/bus/connection/connect.ts';
import { hearSnapshots, type SnapshotEvent } from '../../../lib/bus/events/snapshot-events.ts';
import { decodeRequest } from '../../../lib/bus/rpc/codec.ts';
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
import { type Policy, rootAt, startOf } from './policy.ts';
import { openPolicyLog } from './policy-log.ts';
import type { Outcome, TargetTimes } from './target-state.ts';
import { type OpenTarget, openPolicyTargets } from './targets.ts';

export interface PolicyRunnerDeps {
  readonly host: string;
  readonly bus: Bus;
  readonly log: Log;
  readonly jobs: Pick<Jobs, 'start' | 'running'>;
  /** The configuration file's. */
  readonly policies: readonly Policy[];
  /** From one look at each policy to the next, in milliseconds. */
  readonly reconcileMs: number;
}

export interface PolicyRunner {
  status(): Policies;
  /** Starts nothing any more; what runs goes on. */
  stop(): void;
}

const now = (): number => performance.now();

/** Runs the policies of a host: on every trigger of a new snapshot, and from time to time without. */
export function openPolicyRunner(deps: PolicyRunnerDeps): PolicyRunner {
  const { host, bus, log, jobs, reconcileMs } = deps;
  const policyTargets = openPolicyTargets(timesOf(reconcileMs));
  const policyLog = openPolicyLog(log);
  /** The policy targets of the jobs that were started here. */
  const ours = new Map<string, OpenTarget>();
  let activePolicies: ActivePolicies = { policies: [], refused: [] };
  let timer: NodeJS.Timeout | undefined;
  let stopSnapshotEvents: (() => void) | undefined;
  let stopped = false;

  /** Sets the clock to what is waited for now. */
  function settle(): void {
    clearTimeout(timer);
    const { due } = policyTargets;
    if (stopped || due === undefined) return;
    timer = setTimeout(run, Math.min(2 ** 31 - 1, Math.max(0, due - now())));
    timer.unref();
  }

  function run(): void {
    for (const [policy, all] of byPolicy(policyTargets.wake(now()))) start(policy, all);
    settle();
  }

  function start(policy: Policy, started: readonly OpenTarget[]): void {
    const begun = startJobs(jobs, policy, started);
    if ('code' in begun) {
      // with as many jobs as it may have, this sender is well, and comes to these
      for (const policyTarget of started) ended(policyTarget, begun, begun.code !== 'BUSY');
      return;
    }
    for (const [policyTarget, job] of begun) {
      ours.set(job.id, policyTarget);
      void job.over.then(() => {
        // its last events are still to be heard
        setTimeout(() => ours.delete(job.id), 10_000).unref();
        ended(policyTarget, job.status().error, true, job.status());
        settle();
      });
    }
  }

  function ended(policyTarget: OpenTarget, error: ErrorBody | undefined, isNews: boolean, job?: Job): void {
    // of a policy that is gone nothing follows
    if (stopped || policyTargets.all.get(policyTarget.key) !== policyTarget) return;
    const outcome = outcomeOf(error, job);
    policyTarget.error = error;
    if (isNews) policyLog.ended(policyTarget.key, error, outcome);
    policyTargets.feed(policyTarget.key, { type: 'ended', now: now(), outcome });
  }

  function onSnapshot({ data, taken }: SnapshotEvent): void {
    let snapshot: string;
    try {
      ({ snapshot } = decodeRequest(data, snapshotCreatedSchema, (text) => ({ snapshot: text })));
    } catch (thrown) {
      taken();
      policyLog.malformed(ZpsendError.from(thrown), now());
      return;
    }
    policyTargets.trigger(snapshot, now(), taken);
    settle();
  }

  function use(found: ActivePolicies): void {
    if (stopped) return;
    policyLog.active(activePolicies, found);
    activePolicies = found;
    policyTargets.use(found.policies, now());
    // whoever has none needs no stream
    if (found.policies.length > 0) stopSnapshotEvents ??= hearSnapshots(bus, host, onSnapshot, log.warn);
    settle();
  }

  const stopJobEvents = observeJobs(bus, host, (job, policyTarget, runs) => {
    const own = ours.get(job);
    if (own && policyTargets.all.get(policyTarget) === own) return;
    policyTargets.feed(policyTarget, { type: runs ? 'other-runs' : 'other-over', now: now() });
    settle();
  });
  const leave = followPolicies(deps, use);
  const stopWatching = onceReconnected(bus, () => {
    policyTargets.triggerAll(now());
    settle();
  });

  return {
    status: () => ({ host, ...policiesOf(activePolicies, [...policyTargets.all.values()]) }),
    stop() {
      stopped = true;
      clearTimeout(timer);
      stopWatching();
      leave();
      stopJobEvents();
      stopSnapshotEvents?.();
    },
  };
}

const timesOf = (reconcileMs: number): TargetTimes => ({
  quiet: 30,
  mostQuiet: 1000,
  // instances that were started together do not look together
  reconcile: reconcileMs * (1 + Math.random() / 10),
  silence: 3000,
});

/** @returns the jobs that began, each with its policy target, or why there are none */
function startJobs(
  jobs: PolicyRunnerDeps['jobs'],
  policy: Policy,
  started: readonly OpenTarget[],
): [OpenTarget, RunningJob][] | ErrorBody {
  try {
    const asked = startOf(
      policy,
      started.map(({ to }) => to),
    );
    const ids = jobs.start(asked, { startedBy: 'policy' });
    return ids.flatMap((id, at): [OpenTarget, RunningJob][] => {
      const policyTarget = started[at];
      const job = jobs.running.find((running) => running.id === id);
      return policyTarget && job ? [[policyTarget, job]] : [];
    });
  } catch (thrown) {
    return ZpsendError.from(thrown).toBody();
  }
}

function byPolicy(policyTargets: readonly OpenTarget[]): Map<Policy, OpenTarget[]> {
  const found = new Map<Policy, OpenTarget[]>();
  for (const policyTarget of policyTargets)
    found.set(policyTarget.policy, [...(found.get(policyTarget.policy) ?? []), policyTarget]);
  return found;
}

/** What was said in between was not heard, by no instance: they do not all look at once. @returns the way to end it */
const onceReconnected = (bus: Bus, look: () => void): (() => void) =>
  bus.onReconnected(() => void setTimeout(look, Math.random() * 1000).unref());

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
      .map(({ to, state, error }) => ({
        host: to.host,
        dataset: rootAt(policy, to),
        state: state.phase,
        ...(error && { error: inShort(error) }),
      })),
  })),
  refused: [...refused],
});

/** Many of them go into one message. */
const inShort = ({ code, message, retryable }: ErrorBody): ErrorBody => ({
  code,
  message: message.slice(0, 300),
  retryable,
});

/** Of a package, what may pass of any of its datasets is worth another try. */
function outcomeOf(error: ErrorBody | undefined, job: Job | undefined): Outcome {
  if (!error) return 'done';
  const all = [error, ...(job?.datasets.list ?? []).flatMap((dataset) => dataset.error ?? [])];
  return all.some(({ retryable }) => retryable) ? 'passing' : 'refused';
}
