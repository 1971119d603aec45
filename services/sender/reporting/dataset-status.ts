import type { ErrorBody } from '../../../schemas/errors.ts';
import type { StatusEntry, StatusRun } from '../../../schemas/status.ts';
import { arrivedAt, type LagFacts, lagOf, snapshotOf, storedUpTo } from './lag.ts';

/** What is known of one dataset and its target: a line of the board. */
export interface DatasetStatus {
  readonly facts?: LagFacts | undefined;
  readonly run?: Run | undefined;
  readonly error?: ErrorBody | undefined;
}

interface Run extends Pick<StatusRun, 'state' | 'done' | 'bytes' | 'seconds'> {
  /** Bytes at some seconds of the run, oldest first: what the rate is taken from. */
  readonly samples: readonly { readonly seconds: number; readonly bytes: number }[];
}

export type DatasetStatusEvent =
  | { readonly type: 'listed'; readonly facts: LagFacts }
  | { readonly type: 'began' }
  | { readonly type: 'arrived'; readonly guid: string }
  /** It lies in the store, for the target to fetch. */
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

/** The rate is that of the last so many seconds. */
const rateWindow = 5;

const begun: Run = { state: 'running', done: 0, bytes: 0, seconds: 0, samples: [{ seconds: 0, bytes: 0 }] };

const isOver = (run: Run | undefined): boolean => run?.state === 'done' || run?.state === 'failed';

/** The line after an event; the very same line where it says nothing new. */
export function next(line: DatasetStatus, event: DatasetStatusEvent): DatasetStatus {
  const { facts, run = begun } = line;
  switch (event.type) {
    case 'listed':
      return { ...line, facts: event.facts };
    case 'began':
      return { facts, run: begun };
    case 'arrived':
      return { ...line, facts: facts && arrivedAt(facts, event.guid), run: { ...run, done: run.done + 1 } };
    case 'stored':
      return { ...line, facts: facts && storedUpTo(facts, event.guid) };
    case 'measured':
      return measured(line, run, event);
    case 'ended': {
      if (isOver(line.run)) return line;
      const { bytes, seconds, error } = event;
      return { facts, run: { ...run, state: error ? 'failed' : 'done', bytes, seconds, samples: [] }, error };
    }
  }
}

/** What stands still is told again all the same: a reader takes a running line that is old for one whose sender has died. */
function measured(
  line: DatasetStatus,
  run: Run,
  { bytes, seconds, waiting }: DatasetStatusEvent & { type: 'measured' },
): DatasetStatus {
  if (isOver(run)) return line;
  const recent = run.samples.filter(
    (sample, at, all) => at === all.length - 1 || sample.seconds >= seconds - rateWindow,
  );
  return {
    facts: line.facts,
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

/** Evidence may be long, and is in the job's own status. */
export const shortened = ({ code, message, retryable }: ErrorBody): NonNullable<StatusEntry['error']> => ({
  code,
  message: message.slice(0, 1000),
  retryable,
});

/** What a listing tells, as it is stored. @param now milliseconds since the epoch, by the source's clock */
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
 * A line as it is stored.
 * @param who the job that it is of; @param now milliseconds since the epoch, by the source's clock
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
