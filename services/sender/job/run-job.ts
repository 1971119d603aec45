import { openRateLimit } from '../../../lib/bus/channel/rate-limit.ts';
import type { DatasetPlan } from '../../../lib/plan/dataset-plan.ts';
import { isRefusal } from '../../../lib/plan/refusal.ts';
import { requestFault } from '../../../lib/plan/request/validate-request.ts';
import { composed } from '../../../lib/plan/steps/compose.ts';
import { timing } from '../../../lib/time/timing.ts';
import { datasetOf } from '../../../schemas/names.ts';
import type { Note } from '../../../schemas/plan.ts';
import { releaseStaleHolds } from '../bases/holds.ts';
import { chooseDelivery } from '../delivery/choose.ts';
import type { Delivery } from '../delivery/delivery.ts';
import type { Planned } from '../planning/plan-job.ts';
import { replanner } from '../planning/replan.ts';
import { checkRequest } from '../planning/send-rules.ts';
import { estimateLarge } from '../planning/size-estimates.ts';
import { type RunningChains, runChains } from '../replication/run-chains.ts';
import { progressOf } from '../reporting/progress.ts';
import type { JobRun, Outcome } from './job-run.ts';
import { failureOf } from './result.ts';
import { retry } from './retry.ts';

type PlannedRun = Planned & { delivery: Delivery };

/**
 * Plans once for all datasets of a job, then runs their chains.
 * @throws ZpsendError the error of the plan, or the signal's reason
 */
export async function runJob(run: JobRun): Promise<Outcome> {
  const { context, deps, jobLog } = run;
  // the request of any other job is validated before it starts; the start of a successor has no answer
  const fault = deps.takesOver === undefined ? undefined : requestFault(context);
  if (fault) return fault;
  checkRequest(deps.allow, context, deps.from);
  const { plans, delivery } = await firstPlan(run);
  if (isRefusal(plans)) return plans;
  const { datasets } = plans;
  const whole = composed(plans);
  // if nothing can be sent, the job reports only the refused datasets
  run.progress = progressOf(whole.ok ? datasets : datasets.filter(({ refusal }) => refusal));
  if (!whole.ok) return whole;
  jobLog.planned(plans);
  run.notes = plans.notes;
  deps.fanOut?.planned(datasets.filter(({ steps }) => steps.length > 0).map(({ sourceDataset }) => sourceDataset));
  const refused = datasets.find(({ refusal }) => refusal);
  if (refused?.refusal) run.firstFailure = { dataset: refused.sourceDataset, ...refused.refusal };
  const chains = startChains(run, datasets, delivery);
  run.chains = chains;
  void estimateLarge(deps.zfs, datasets, run.progress);
  const stopMeasuring = deps.clock.every(timing.job.statusMs, () =>
    run.status.measured([...chains.running].map(([chain, live]) => [datasets[chain]?.sourceDataset ?? '', live])),
  );
  await chains.over;
  if (run.latestPlan) await delivery.arrived(run.latestPlan, run.arrived);
  stopMeasuring();
  if (!run.firstFailure) return {};
  return run.aborted ? { error: run.aborted } : failureOf(run.progress, run.firstFailure);
}

/** Makes the first plan, and tries again while waiting may help. Holds that a killed job left are released once. */
function firstPlan(run: JobRun): Promise<PlannedRun> {
  let isReleased = false;
  async function begin(): Promise<PlannedRun> {
    const made = await makePlan(run);
    if (!isReleased) {
      await releaseLeftHolds(run, made);
      isReleased = true;
    }
    return made;
  }
  return retry(begin, {
    clock: run.deps.clock,
    patienceMs: run.deps.patienceMs,
    signal: run.signal,
    since: run.waitingSince,
    onWait(error, until) {
      run.waiting = error && { error, until };
      if (error) run.jobLog.waiting(error, until);
      else run.jobLog.goesOn();
    },
  });
}

async function makePlan(run: JobRun): Promise<PlannedRun> {
  const { signal, jobLog } = run;
  const { delivery, planned } = await planByDelivery(run);
  // the job may have been aborted meanwhile
  signal.throwIfAborted();
  run.delivery = delivery;
  jobLog.usesChannel(delivery.channel);
  run.latestPlan = planned;
  jobLog.listed(planned.source, planned.target);
  run.status.listed(planned);
  return { ...planned, delivery };
}

/** A plan for the delivery that the first one has chosen. */
async function planByDelivery({ delivery, arrived, deps, context, signal }: JobRun): Promise<{
  delivery: Delivery;
  planned: Planned;
}> {
  if (delivery) return { delivery, planned: await delivery.plan(arrived) };
  return chooseDelivery(deps, context, context.request.channel ?? deps.channel, signal);
}

/** The holds of a killed job protect its bases until every dataset has its cursor. */
async function releaseLeftHolds({ deps, context, signal }: JobRun, made: PlannedRun): Promise<void> {
  const { cursors } = made.delivery;
  const settled = await cursors.ensure(made);
  await releaseStaleHolds(deps, {
    targetHost: context.targetHost,
    source: made.source,
    settled,
    markTentative: cursors.chain().markTentative,
    livingJobs: deps.livingJobs,
    signal,
  });
}

function startChains(run: JobRun, datasets: readonly DatasetPlan[], delivery: Delivery): RunningChains {
  const { id, context, deps, compression, status, jobLog, arrived } = run;
  const { request, targetHost } = context;
  const rateLimit = request.bwlimit === undefined ? undefined : openRateLimit(request.bwlimit);
  return runChains(
    { ...deps, ask: delivery.ask, rateLimit, compression, properties: request.properties },
    {
      job: id,
      targetHost,
      plans: datasets,
      parallel: request.parallel ?? deps.parallel,
      progress: run.progress,
      status,
      replan: replanner(
        context,
        () => makePlan(run),
        () => arrived,
      ),
      cursors: delivery.cursors,
      noted: (note) => noteOnce(run, note),
      arrived(step) {
        arrived.push(step);
        // the target has yet to receive a stored stream
        status[delivery.channel === 'direct' ? 'arrived' : 'stored'](datasetOf(step.to.name), step.to.guid);
      },
      jobLog,
      failed: (dataset, error, evidence) => {
        run.firstFailure ??= { dataset, error, evidence };
      },
    },
  );
}

/** A note that concerns many datasets is reported once. */
function noteOnce(run: JobRun, note: Note): void {
  if (run.notes.some(({ kind, message }) => kind === note.kind && message === note.message)) return;
  run.notes = [...run.notes, note];
  run.jobLog.noted(note);
}
