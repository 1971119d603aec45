import type { Bus } from '../../../lib/bus/connection/connect.ts';
import { hearSnapshots, type SnapshotEvent } from '../../../lib/bus/events/snapshot-events.ts';
import { decodeRequest } from '../../../lib/bus/rpc/codec.ts';
import { type ErrorBody, ZpsendError } from '../../../schemas/errors.ts';
import type { Job } from '../../../schemas/job.ts';
import type { Policies } from '../../../schemas/policy.ts';
import { snapshotCreatedSchema } from '../../../schemas/snapshot-created.ts';
import type { Log } from '../../host/log.ts';
import type { Jobs } from '../job/registry.ts';
import type { ActivePolicies } from './active.ts';
import { followPolicies } from './follow.ts';
import { observeJobs } from './other-senders.ts';
import { type Policy, rootAt, startOf } from './policy.ts';
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

/** Garbage is told of this often at most, in milliseconds. */
const garbageMs = 60_000;
const now = (): number => performance.now();

/** Runs the policies of a host: on every trigger of a new snapshot, and from time to time without. */
export function openPolicyRunner(deps: PolicyRunnerDeps): PolicyRunner {
  const { host, bus, log, jobs, reconcileMs } = deps;
  const times: TargetTimes = {
    quiet: 30,
    mostQuiet: 1000,
    // instances that were started together do not look together
    reconcile: reconcileMs * (1 + Math.random() / 10),
    silence: 3000,
  };
  const policyTargets = openPolicyTargets(times);
  /** The policy targets of the jobs that were started here. */
  const ours = new Map<string, OpenTarget>();
  /** What was said of each policy target's failures since it last went well. */
  const told = new Map<string, Set<string>>();
  let activePolicies: ActivePolicies = { policies: [], refused: [] };
  let timer: NodeJS.Timeout | undefined;
  let deafToSnapshots: (() => void) | undefined;
  let stopped = false;
  let garbage = { count: 0, since: Number.NEGATIVE_INFINITY };

  /** Sets the clock to what is waited for now. */
  function settle(): void {
    clearTimeout(timer);
    const { due } = policyTargets;
    if (stopped || due === undefined) return;
    timer = setTimeout(run, Math.min(2 ** 31 - 1, Math.max(0, due - now())));
    timer.unref();
  }

  function run(): void {
    const byPolicy = new Map<Policy, OpenTarget[]>();
    for (const policyTarget of policyTargets.wake(now()))
      byPolicy.set(policyTarget.policy, [...(byPolicy.get(policyTarget.policy) ?? []), policyTarget]);
    for (const [policy, all] of byPolicy) start(policy, all);
    settle();
  }

  function start(policy: Policy, started: readonly OpenTarget[]): void {
    let ids: string[];
    try {
      const asked = startOf(
        policy,
        started.map(({ to }) => to),
      );
      ids = jobs.start(asked, { startedBy: 'policy' });
    } catch (thrown) {
      const error = ZpsendError.from(thrown).toBody();
      // with as many jobs as it may have, this sender is well, and comes to these
      for (const policyTarget of started) ended(policyTarget, error, error.code !== 'BUSY');
      return;
    }
    for (const [at, id] of ids.entries()) {
      const policyTarget = started[at];
      const job = jobs.running.find((running) => running.id === id);
      if (!policyTarget || !job) continue;
      ours.set(id, policyTarget);
      void job.over.then(() => {
        // its last events are still to be heard
        setTimeout(() => ours.delete(id), 10_000).unref();
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
    if (isNews) tell(policyTarget, error, outcome);
    policyTargets.feed(policyTarget.key, { type: 'ended', now: now(), outcome });
  }

  /** A failure is told once, however often it comes back, until a run goes well. */
  function tell({ key }: OpenTarget, error: ErrorBody | undefined, outcome: Outcome): void {
    const before = told.get(key);
    if (!error) {
      if (before) log.info('policy.recovered', `${key} goes well again`, { policy: key });
      told.delete(key);
      return;
    }
    const text = `${error.code}: ${error.message}`;
    if (before?.has(text)) return;
    told.set(key, new Set([...(before ?? []), text].slice(-20)));
    const fields = { policy: key, code: error.code };
    if (outcome === 'passing') log.warn('policy.retried', `${key} failed: ${text}; trying again`, fields);
    else log.error('policy.failed', `${key} failed: ${text}; the next new snapshot tries again`, fields);
  }

  function onSnapshot({ data, taken }: SnapshotEvent): void {
    let snapshot: string;
    try {
      ({ snapshot } = decodeRequest(data, snapshotCreatedSchema, (text) => ({ snapshot: text })));
    } catch (thrown) {
      taken();
      garbage.count += 1;
      if (now() - garbage.since < garbageMs) return;
      log.warn(
        'snapshot-event.malformed',
        `ignored ${garbage.count} malformed snapshot ${garbage.count === 1 ? 'event' : 'events'}: ${ZpsendError.from(thrown).message}`,
      );
      garbage = { count: 0, since: now() };
      return;
    }
    policyTargets.trigger(snapshot, now(), taken);
    settle();
  }

  function use(found: ActivePolicies): void {
    if (stopped) return;
    const known = new Set(activePolicies.refused.map(({ name, why }) => `${name} ${why}`));
    for (const { name, why } of found.refused) {
      if (!known.has(`${name} ${why}`))
        log.error('policy.refused', `the policy ${name} is not in force: ${why}`, { policy: name });
    }
    const before = namesOf(activePolicies);
    activePolicies = found;
    if (before !== namesOf(found))
      log.info('policy.active', `policies in force: ${namesOf(found) || 'none'}`, {
        policies: found.policies.map(({ name }) => name).sort(),
      });
    policyTargets.use(found.policies, now());
    // whoever has none needs no stream
    if (found.policies.length > 0) deafToSnapshots ??= hearSnapshots(bus, host, onSnapshot, log.warn);
    settle();
  }

  const deafToJobs = observeJobs(bus, host, (job, policyTarget, runs) => {
    const own = ours.get(job);
    if (own && policyTargets.all.get(policyTarget) === own) return;
    policyTargets.feed(policyTarget, { type: runs ? 'other-runs' : 'other-over', now: now() });
    settle();
  });
  const leave = followPolicies(deps, use);
  // what was said in between was not heard, by no instance: they do not all look at once
  const unwatch = bus.onReconnected(() => {
    const look = () => {
      policyTargets.triggerAll(now());
      settle();
    };
    setTimeout(look, Math.random() * 1000).unref();
  });

  return {
    status: () => ({
      host,
      policies: activePolicies.policies.map((policy) => ({
        name: policy.name,
        dataset: policy.dataset,
        recursive: policy.isRecursive,
        targets: [...policyTargets.all.values()]
          .filter((policyTarget) => policyTarget.policy === policy)
          .map(({ to, state, error }) => ({
            host: to.host,
            dataset: rootAt(policy, to),
            state: state.phase,
            ...(error && { error: inShort(error) }),
          })),
      })),
      refused: [...activePolicies.refused],
    }),
    stop() {
      stopped = true;
      clearTimeout(timer);
      unwatch();
      leave();
      deafToJobs();
      deafToSnapshots?.();
    },
  };
}

const namesOf = ({ policies }: ActivePolicies): string =>
  policies.map(({ dataset, name }) => `${dataset} (${name})`).join(', ');

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
