import type { ErrorBody } from '../../../schemas/errors.ts';
import type { StatusEntry, StatusRun } from '../../../schemas/status.ts';
import { arrivedAt, type LagFacts, lagOf, snapshotOf, storedUpTo } from './lag.ts';

/** The status of one dataset at one target. */
export interface DatasetStatus {
  readonly facts?: LagFacts | undefined;
  readonly run?: Run | undefined;
  readonly error?: ErrorBody | undefined;
}

interface Run extends Pick<StatusRun, 'state' | 'done' | 'bytes' | 'seconds'> {
  /** Bytes at some seconds of the run, oldest first, from which the rate is computed. */
  readonly samples: readonly { readonly seconds: number; readonly bytes: number }[];
}

export type DatasetStatusEvent =
  | { readonly type: 'listed'; readonly facts: LagFacts }
  | { readonly type: 'began' }
  | { readonly type: 'arrived'; readonly guid: string }
  /** It is stored for the target. */
  | { readonly type: 'stored'; readonly guid: string }
  /** Bytes sent in this run so far, `seconds` after it began. */
  | {
      readonly type: 'measured';
      readonly bytes: number;
      readonly seconds: number;
      readonly waiting?: ErrorBody | undefined;
    }
  | {
      readonly type: 'ended';
      readonly bytes: number;
      readonly seconds: number;
      readonly error?: ErrorBody | undefined;
    };

/** The rate is that of this many last seconds. */
const rateWindow = 5;

const newRun: Run = { state: 'running', done: 0, bytes: 0, seconds: 0, samples: [{ seconds: 0, bytes: 0 }] };

const isOver = (run: Run | undefined): boolean => run?.state === 'done' || run?.state === 'failed';

/** The status after an event; the same object if nothing has changed. */
export function next(status: DatasetStatus, event: DatasetStatusEvent): DatasetStatus {
  const { facts, run = newRun } = status;
  switch (event.type) {
    case 'listed':
      return { ...status, facts: event.facts };
    case 'began':
      return { facts, run: newRun };
    case 'arrived':
      return { ...status, facts: facts && arrivedAt(facts, event.guid), run: { ...run, done: run.done + 1 } };
    case 'stored':
      return { ...status, facts: facts && storedUpTo(facts, event.guid) };
    case 'measured':
      return measured(status, run, event);
    case 'ended': {
      if (isOver(status.run)) return status;
      const { bytes, seconds, error } = event;
      return { facts, run: { ...run, state: error ? 'failed' : 'done', bytes, seconds, samples: [] }, error };
    }
  }
}

/** A run without progress is written again, too: readers take an old running entry for one of a dead sender. */
function measured(
  status: DatasetStatus,
  run: Run,
  { bytes, seconds, waiting }: DatasetStatusEvent & { type: 'measured' },
): DatasetStatus {
  if (isOver(run)) return status;
  const recent = run.samples.filter(
    (sample, at, all) => at === all.length - 1 || sample.seconds >= seconds - rateWindow,
  );
  return {
    facts: status.facts,
    run: { ...run, state: waiting ? 'waiting' : 'running', bytes, seconds, samples: [...recent, { seconds, bytes }] },
    error: waiting,
  };
}

function rateOf({ state, samples }: Run): number | undefined {
  const [first, last] = [samples[0], samples.at(-1)];
  if (state !== 'running' || !first || !last || last.seconds <= first.seconds) return undefined;
  return Math.max(0, Math.round((last.bytes - first.bytes) / (last.seconds - first.seconds)));
}

const isoOf = (ms: number): string => new Date(ms).toISOString();

/** Without the evidence, which may be long and is in the status of the job. */
export const shortened = ({ code, message, retryable }: ErrorBody): NonNullable<StatusEntry['error']> => ({
  code,
  message: message.slice(0, 1000),
  retryable,
});

/** The lag of a listing as it is stored. @param now milliseconds since the epoch, by the source's clock */
export const lagged = (facts: LagFacts | undefined, now: number): StatusEntry => ({
  ...(facts?.sent && { sent: snapshotOf(facts.sent) }),
  ...(facts?.stream !== undefined && { stream: facts.stream }),
  ...(facts?.wrapping && { wrapping: facts.wrapping }),
  ...(facts?.newest && { newest: facts.newest }),
  ...(facts?.stored && { stored: facts.stored }),
  ...(facts && { lag: lagOf(facts), listed: isoOf(facts.listed) }),
  written: isoOf(now),
});

/**
 * A status as it is stored.
 * @param who its job; @param now milliseconds since the epoch, by the source's clock
 */
export function entryOf(
  { facts, run, error }: DatasetStatus,
  who: Pick<StatusRun, 'job' | 'instance'>,
  now: number,
): StatusEntry {
  const rate = run && rateOf(run);
  return {
    ...lagged(facts, now),
    ...(run && {
      run: {
        job: who.job,
        instance: who.instance,
        state: run.state,
        done: run.done,
        bytes: run.bytes,
        seconds: run.seconds,
        ...(rate !== undefined && { rate }),
      },
    }),
    ...(error && { error: shortened(error) }),
  };
}
