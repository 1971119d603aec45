import { openRateLimit } from '../../../lib/bus/channel/rate-limit.ts';
import type { DatasetPlan } from '../../../lib/plan/dataset-plan.ts';
import { isRefusal } from '../../../lib/plan/refusal.ts';
import { composed } from '../../../lib/plan/steps/compose.ts';
import { timing } from '../../../lib/time/timing.ts';
import { datasetOf } from '../../../schemas/names.ts';
import type { Note } from '../../../schemas/plan.ts';
import { sweepHolds } from '../bases/holds.ts';
import { route } from '../delivery/choose.ts';
import type { Delivery } from '../delivery/delivery.ts';
import type { Planned } from '../planning/plan-job.ts';
import { replanner } from '../planning/replan.ts';
import { checkRequest } from '../planning/send-rules.ts';
import { estimateLarge } from '../planning/size-estimates.ts';
import { type RunningChains, runChains } from '../replication/run-chains.ts';
import { progressOf } from '../reporting/progress.ts';
import type { JobRun, Outcome } from './job-run.ts';
import { failureOf } from './result.ts';
import { patiently } from './retry.ts';

type PlannedRun = Planned & { delivery: Delivery };

/**
 * Plans once for all datasets of a job, then runs their chains.
 * @throws ZpsendError what the plan failed with, or the signal's reason
 */
export async function runJob(run: JobRun): Promise<Outcome> {
  const { request, deps, say } = run;
  // nobody waits for the answer to a successor's start: what its rules refuse ends the job
  checkRequest(deps.allow, deps.host, request, deps.from);
  const { plans, delivery } = await planPatiently(run);
  if (isRefusal(plans)) return plans;
  const { datasets } = plans;
  const whole = composed(plans);
  // where nothing is tried, the job is about what stands in the delivery
  run.progress = progressOf(whole.ok ? datasets : datasets.filter(({ refusal }) => refusal));
  if (!whole.ok) return whole;
  say.planned(plans);
  run.notes = plans.notes;
  deps.fan?.planned(datasets.filter(({ steps }) => steps.length > 0).map(({ sourceDataset }) => sourceDataset));
  const refused = datasets.find(({ refusal }) => refusal);
  if (refused?.refusal) run.first = { dataset: refused.sourceDataset, ...refused.refusal };
  const chains = startChains(run, datasets, delivery);
  run.chains = chains;
  void estimateLarge(deps.zfs, datasets, run.progress);
  const measuring = setInterval(
    () => run.board.measured([...chains.running].map(([chain, live]) => [datasets[chain]?.sourceDataset ?? '', live])),
    timing.job.statusMs,
  );
  await chains.over;
  if (run.seen) await delivery.arrived(run.seen, run.arrived);
  clearInterval(measuring);
  if (!run.first) return {};
  return run.aborted ? { error: run.aborted } : failureOf(run.progress, run.first);
}

/** Makes the first plan, and takes its time where waiting may help. What a killed job has left held is released once. */
function planPatiently(run: JobRun): Promise<PlannedRun> {
  let swept = false;
  async function begin(): Promise<PlannedRun> {
    const made = await makePlan(run);
    if (!swept) {
      await releaseLeftHolds(run, made);
      swept = true;
    }
    return made;
  }
  return patiently(begin, {
    ms: run.deps.patienceMs,
    signal: run.signal,
    since: run.since,
    waits(error, until) {
      run.waiting = error && { error, until };
      if (error) run.say.waiting(error, until);
      else run.say.goesOn();
    },
  });
}

async function makePlan(run: JobRun): Promise<PlannedRun> {
  const { signal, say } = run;
  const { delivery, planned } = await planAlong(run);
  // an aborted job has ended meanwhile
  signal.throwIfAborted();
  run.delivery = delivery;
  say.along(delivery.channel);
  run.seen = planned;
  say.listed(planned.source, planned.target);
  run.board.listed(planned);
  return { ...planned, delivery };
}

/** A plan by the delivery that the first one chose. */
async function planAlong({ delivery, arrived, deps, request, signal }: JobRun): Promise<{
  delivery: Delivery;
  planned: Planned;
}> {
  if (delivery) return { delivery, planned: await delivery.plan(arrived) };
  return route(deps, request, request.channel ?? deps.channel, signal);
}

/** What a killed job held is protected by its holds until every dataset has its cursor. */
async function releaseLeftHolds({ deps, request, signal }: JobRun, made: PlannedRun): Promise<void> {
  const { cursors } = made.delivery;
  const settled = await cursors.ensure(made);
  await sweepHolds(deps, {
    targetHost: request.to.host,
    source: made.source,
    settled,
    markTentative: cursors.chain().markTentative,
    livingJobs: deps.livingJobs,
    signal,
  });
}

function startChains(run: JobRun, datasets: readonly DatasetPlan[], delivery: Delivery): RunningChains {
  const { id, request, deps, compression, board, say, arrived } = run;
  const rateLimit = request.bwlimit === undefined ? undefined : openRateLimit(request.bwlimit);
  return runChains(
    { ...deps, ask: delivery.ask, rateLimit, compression, properties: request.properties },
    {
      job: id,
      targetHost: request.to.host,
      plans: datasets,
      parallel: request.parallel ?? deps.parallel,
      progress: run.progress,
      board,
      replan: replanner(
        request,
        () => makePlan(run),
        () => arrived,
      ),
      cursors: delivery.cursors,
      noted: (note) => noteOnce(run, note),
      arrived(step) {
        arrived.push(step);
        // what is stored the target has yet to take
        board[delivery.channel === 'direct' ? 'arrived' : 'stored'](datasetOf(step.to.name), step.to.guid);
      },
      say,
      failed: (dataset, error, evidence) => {
        run.first ??= { dataset, error, evidence };
      },
    },
  );
}

/** What many datasets meet is told once. */
function noteOnce(run: JobRun, note: Note): void {
  if (run.notes.some(({ kind, message }) => kind === note.kind && message === note.message)) return;
  run.notes = [...run.notes, note];
  run.say.noted(note);
}
