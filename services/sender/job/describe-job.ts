import type { Job } from '../../../schemas/job.ts';
import type { JobRun, Outcome } from './job-run.ts';
import { stateOf } from './result.ts';
import { asWait, waitOf } from './waits.ts';

/** Notes that a job's status carries. */
const mostNotes = 200;

/**
 * A job as its status reports it at this moment.
 * @param outcome of a job that has ended
 * @param withList else without the fields that may be long: notes, the list of datasets
 */
export function describeJob(run: JobRun, outcome: Outcome | undefined, withList: boolean): Job {
  const { deps, context, delivery, progress, chains, waiting, aborted, notes, compression } = run;
  const running = [...(chains?.running.values() ?? [])];
  // the conflict resolution of its first step may be long, and the notes have it
  const { before: _, ...current } = running.find((chain) => chain.current)?.current ?? {};
  const waits = waiting ?? waitOf(running);
  const ended = outcome && (outcome.error ? 'failed' : 'done');
  const active = chains
    ? stateOf(running.map(({ phase, waiting: waits }) => (waits ? 'waiting' : phase)))
    : waiting
      ? 'waiting'
      : 'planning';
  const state = ended ?? active;
  const { size, ...sums } = progress.report(chains?.running ?? new Map(), withList);
  return {
    job: run.id,
    host: deps.host,
    instance: deps.instance,
    ...(deps.bus.self?.machine.id !== undefined && { machine: deps.bus.self.machine.id }),
    ...(deps.takesOver !== undefined && { takesOver: deps.takesOver }),
    ...(deps.startedBy && { startedBy: deps.startedBy }),
    ...(deps.from !== undefined && { from: deps.from }),
    request: context.request,
    state,
    ...(aborted && !outcome && { aborting: true as const }),
    ...(delivery?.channel === 'store' && { channel: delivery.channel }),
    ...sums,
    ...(withList && notes.length > 0 && { notes: notes.slice(0, mostNotes) }),
    ...('to' in current && { current }),
    size: Math.max(size, state === 'done' ? sums.bytes : 0),
    ...(compression.saved !== undefined && { compressedBytes: Math.max(0, sums.bytes - compression.saved) }),
    started: run.started.toISOString(),
    ...(outcome && { ended: new Date(deps.clock.date()).toISOString() }),
    seconds: Math.round(deps.clock.now() - run.began) / 1000,
    ...(outcome?.error && { error: outcome.error }),
    ...(outcome?.evidence && { evidence: outcome.evidence }),
    ...(state === 'waiting' && waits && { waiting: asWait(waits) }),
  };
}
