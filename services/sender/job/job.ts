import { openRateLimit } from '../../../lib/bus/channel/rate-limit.ts';
import { publishEvent } from '../../../lib/bus/events/events.ts';
import { type EventWhat, subjects } from '../../../lib/bus/subjects.ts';
import { isRefusal } from '../../../lib/plan/refusal.ts';
import { composed } from '../../../lib/plan/steps/compose.ts';
import { type ErrorBody, ZpsendError } from '../../../schemas/errors.ts';
import type { Job } from '../../../schemas/job.ts';
import { datasetOf } from '../../../schemas/names.ts';
import type { Evidence, Note, SendRequest, Step } from '../../../schemas/plan.ts';
import type { Channel, CompressionMode } from '../../../schemas/transfer.ts';
import { sweepHolds } from '../bases/holds.ts';
import { route } from '../delivery/choose.ts';
import type { Delivery } from '../delivery/delivery.ts';
import type { StoreDeliveryDeps } from '../delivery/store-delivery.ts';
import type { Planned } from '../planning/plan-job.ts';
import { turnsOfOne } from '../planning/plan-turns.ts';
import { replanner } from '../planning/replan.ts';
import { checkRequest } from '../planning/send-rules.ts';
import { estimateLarge } from '../planning/size-estimates.ts';
import type { ChainDeps } from '../replication/chain.ts';
import { type RunningChains, runChains } from '../replication/run-chains.ts';
import { jobLog } from '../reporting/job-log.ts';
import { openJobStatus } from '../reporting/job-status.ts';
import { type Progress, progressOf } from '../reporting/progress.ts';
import { quietly } from '../reporting/quiet-job-log.ts';
import { openJobCompression } from '../transfer/compression.ts';
import { type Failure, failureOf, stateOf } from './result.ts';
import { patiently } from './retry.ts';
import { asWait, type Waits, waitOf } from './waits.ts';

export interface JobDeps extends Omit<ChainDeps, 'ask'>, StoreDeliveryDeps {
  readonly instance: string;
  /** Datasets of a package at once, where the request does not say. */
  readonly parallel: number;
  /** How streams go over the wire, where the request does not say. */
  readonly compressionMode: CompressionMode;
  /** By which channel streams go, where the request does not say. */
  readonly channel: Channel;
  /** Which jobs run anywhere on this host: what a dead one left held may be released. Undefined where that is not clear. */
  readonly livingJobs: () => Promise<Set<string> | undefined>;
  /** Of a policy's job that finds nothing to do there is nothing to tell, and the policy tells of failures. */
  readonly startedBy?: Job['startedBy'];
  /** The job that it goes on with, whose sender has died. */
  readonly takesOver?: string | undefined;
}

export interface RunningJob {
  readonly id: string;
  readonly takesOver: string | undefined;
  readonly isOver: boolean;
  status(): Job;
  /** The same without what may be long: evidence, notes, patterns, the list of datasets. */
  summary(): Job;
  abort(error: ErrorBody): void;
  /** Resolves when the job has ended and its holds are released. */
  readonly over: Promise<void>;
}

interface Outcome {
  readonly error?: ErrorBody;
  readonly evidence?: Evidence | undefined;
}

const progressMs = 500;
/** How often the board is told how far running datasets are, in milliseconds. */
const boardMs = 2000;
/** Notes that a job's status carries. */
const mostNotes = 200;

/** Starts one job: plans once for all its datasets, then runs their chains. */
export function startJob(options: JobDeps, id: string, request: SendRequest): RunningJob {
  const stop = new AbortController();
  const { turns, since } = turnsOfOne(options.turns, stop.signal);
  const deps: JobDeps = { ...options, turns, log: options.log.child({ job: id, source: options.host }) };
  const { host, zfs } = deps;
  const began = performance.now();
  const started = new Date();
  const over = Promise.withResolvers<void>();
  const said = jobLog(deps.log, request);
  const say = deps.startedBy === 'policy' ? quietly(said) : said;
  const compression = openJobCompression(request.compression ?? deps.compressionMode);
  let delivery: Delivery | undefined;
  const board = openJobStatus(deps, id, request);
  let progress: Progress = progressOf([]);
  let chains: RunningChains | undefined;
  /** What the planning waits for. */
  let waiting: Waits | undefined;
  let aborted: ErrorBody | undefined;
  let first: Failure | undefined;
  let notes: readonly Note[] = [];
  /** The plan that was made last, and the steps that have arrived. */
  let seen: Planned | undefined;
  const arrived: Step[] = [];
  /** What an ended job is remembered by: its plan, which may have many thousands of steps, is let go. */
  let last: Job | undefined;

  function describe(outcome: Outcome | undefined, withList: boolean): Job {
    const running = [...(chains?.running.values() ?? [])];
    // what its first step clears may be a long list, and the notes tell it
    const { before: _, ...current } = running.find((chain) => chain.current)?.current ?? {};
    const waits = waiting ?? waitOf(running);
    const ended = outcome && (outcome.error ? 'failed' : 'done');
    const under = chains
      ? stateOf(running.map(({ phase, waiting: waits }) => (waits ? 'waiting' : phase)))
      : waiting
        ? 'waiting'
        : 'planning';
    const state = ended ?? under;
    const { size, ...sums } = progress.tell(chains?.running ?? new Map(), withList);
    return {
      job: id,
      host,
      instance: deps.instance,
      ...(deps.bus.self?.machine.id !== undefined && { machine: deps.bus.self.machine.id }),
      ...(deps.takesOver !== undefined && { takesOver: deps.takesOver }),
      ...(deps.startedBy && { startedBy: deps.startedBy }),
      ...(deps.from !== undefined && { from: deps.from }),
      request,
      state,
      ...(aborted && !outcome && { aborting: true as const }),
      ...(delivery?.channel === 'store' && { channel: delivery.channel }),
      ...sums,
      ...(withList && notes.length > 0 && { notes: notes.slice(0, mostNotes) }),
      ...('to' in current && { current }),
      size: Math.max(size, state === 'done' ? sums.bytes : 0),
      ...(compression.saved !== undefined && { compressedBytes: Math.max(0, sums.bytes - compression.saved) }),
      started: started.toISOString(),
      ...(outcome && { ended: new Date().toISOString() }),
      seconds: Math.round(performance.now() - began) / 1000,
      ...(outcome?.error && { error: outcome.error }),
      ...(outcome?.evidence && { evidence: outcome.evidence }),
      ...(state === 'waiting' && waits && { waiting: asWait(waits) }),
    };
  }
  const status = (): Job => last ?? describe(undefined, true);
  const tell = (what: EventWhat) => publishEvent(deps.bus, subjects.event(host, 'job', what), status());

  /** What many datasets meet is told once. */
  function noted(note: Note): void {
    if (notes.some(({ kind, message }) => kind === note.kind && message === note.message)) return;
    notes = [...notes, note];
    say.noted(note);
  }

  async function along(): Promise<{ delivery: Delivery; planned: Planned }> {
    if (delivery) return { delivery, planned: await delivery.plan(arrived) };
    return route(deps, request, request.channel ?? deps.channel, stop.signal);
  }
  async function make(): Promise<Planned & { delivery: Delivery }> {
    const made = await along();
    // an aborted job has ended meanwhile
    stop.signal.throwIfAborted();
    delivery = made.delivery;
    say.along(delivery.channel);
    seen = made.planned;
    say.listed(seen.source, seen.target);
    board.listed(seen);
    return { ...seen, delivery };
  }

  let swept = false;
  async function begin(): Promise<Planned & { delivery: Delivery }> {
    const made = await make();
    if (!swept) {
      // what a killed job held is protected by its holds until here
      const settled = await made.delivery.cursors.ensure(made);
      await sweepHolds(deps, {
        to: request.to.host,
        source: made.source,
        settled,
        markTentative: made.delivery.cursors.chain().markTentative,
        livingJobs: deps.livingJobs,
        signal: stop.signal,
      });
      swept = true;
    }
    return made;
  }

  async function run(): Promise<Outcome> {
    // nobody waits for the answer to a successor's start: what its rules refuse ends the job
    checkRequest(deps.allow, host, request, deps.from);
    const { plans, delivery } = await patiently(begin, {
      ms: deps.patienceMs,
      signal: stop.signal,
      since,
      waits(error, until) {
        waiting = error && { error, until };
        if (error) say.waiting(error, until);
        else say.goesOn();
      },
    });
    if (isRefusal(plans)) return plans;
    const { datasets } = plans;
    const whole = composed(plans);
    // where nothing is tried, the job is about what stands in the way
    progress = progressOf(whole.ok ? datasets : datasets.filter(({ refusal }) => refusal));
    if (!whole.ok) return whole;
    say.planned(plans);
    notes = plans.notes;
    deps.fan?.planned(datasets.filter(({ steps }) => steps.length > 0).map(({ dataset }) => dataset));
    const refused = datasets.find(({ refusal }) => refusal);
    if (refused?.refusal) first = { dataset: refused.dataset, ...refused.refusal };
    const rateLimit = request.bwlimit === undefined ? undefined : openRateLimit(request.bwlimit);
    chains = runChains(
      { ...deps, ask: delivery.ask, rateLimit, compression, properties: request.properties },
      {
        job: id,
        to: request.to.host,
        plans: datasets,
        parallel: request.parallel ?? deps.parallel,
        progress,
        board,
        replan: replanner(request, make, () => arrived),
        cursors: delivery.cursors,
        noted,
        arrived(step) {
          arrived.push(step);
          // what is stored the target has yet to take
          board[delivery.channel === 'direct' ? 'arrived' : 'stored'](datasetOf(step.to.name), step.to.guid);
        },
        say,
        failed: (dataset, error, evidence) => {
          first ??= { dataset, error, evidence };
        },
      },
    );
    void estimateLarge(zfs, datasets, progress);
    const { running } = chains;
    const measuring = setInterval(
      () => board.measured([...running].map(([chain, live]) => [datasets[chain]?.dataset ?? '', live])),
      boardMs,
    );
    await chains.over;
    if (seen) await delivery.arrived(seen, arrived);
    clearInterval(measuring);
    if (!first) return {};
    return aborted ? { error: aborted } : failureOf(progress, first);
  }

  function end(outcome: Outcome): void {
    deps.fan?.gone();
    clearInterval(ticker);
    board.over(outcome.error);
    last = describe(outcome, true);
    chains = undefined;
    progress = progressOf([]);
    say.ended(last);
    tell(last.state === 'done' ? 'done' : 'failed');
    over.resolve();
  }

  const ticker = setInterval(() => tell('progress'), progressMs);
  tell('started');
  void run().then(end, (thrown) => end({ error: aborted ?? ZpsendError.from(thrown).toBody() }));
  return {
    id,
    takesOver: deps.takesOver,
    get isOver() {
      return last !== undefined;
    },
    status,
    summary() {
      const { evidence: _, notes: __, ...job } = last ?? describe(undefined, false);
      const { exclude: ___, snapshots: ____, properties: _____, ...asked } = request;
      return { ...job, request: asked, datasets: { ...job.datasets, list: [] } };
    },
    over: over.promise,
    abort(error) {
      aborted ??= error;
      stop.abort(ZpsendError.fromBody(error));
      chains?.abort(error);
      // before whoever asked for it has an answer: were this sender killed now, another would go on
      if (!last) tell('progress');
    },
  };
}
