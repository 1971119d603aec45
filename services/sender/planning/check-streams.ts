import pLimit from 'p-limit';
import type { DatasetPlan } from '../../../lib/plan/dataset-plan.ts';
import { beginningBytes, featuresNeeded, streamRefusal } from '../../../lib/plan/steps/stream-needs.ts';
import type { Clock } from '../../../lib/time/clock.ts';
import { timing } from '../../../lib/time/timing.ts';
import type { Zfs } from '../../../lib/zfs/zfs.ts';
import type { ErrorBody } from '../../../schemas/errors.ts';
import type { Note, Step } from '../../../schemas/plan.ts';
import type { StreamFeature } from '../../../schemas/stream.ts';
import { streamOf } from '../transfer/stream-request.ts';

/** Datasets whose streams are checked; those of more stay unknown. */
const mostRead = 500;
const atOnce = 4;

export interface StreamCheckDeps {
  readonly zfs: Pick<Zfs, 'send'>;
  readonly clock: Pick<Clock, 'after'>;
}

export interface StreamCheck {
  /** By the target's dataset: its first stream cannot be received there. */
  readonly refused: ReadonlyMap<string, ErrorBody>;
  /** Of datasets whose later streams cannot. */
  readonly notes: readonly Note[];
  /** Every stream could be checked. */
  readonly isComplete: boolean;
}

/** The features that a step's stream needs, from the beginning of `zfs send`; undefined where that cannot be read. */
async function neededBy({ zfs, clock }: StreamCheckDeps, step: Step): Promise<StreamFeature[] | undefined> {
  // with properties the stream is inside another one, which has fewer flags
  const sending = zfs.send(streamOf({ ...step, flags: step.flags?.filter((flag) => flag !== 'props') ?? [] }));
  const cancelKill = clock.after(timing.job.streamCheckMs, () => sending.kill());
  try {
    let beginning = Buffer.alloc(0);
    for await (const chunk of sending.stdout) {
      beginning = Buffer.concat([beginning, chunk]);
      if (beginning.length >= beginningBytes) break;
    }
    return featuresNeeded(beginning);
  } catch {
    return undefined;
  } finally {
    cancelKill();
    sending.kill();
  }
}

/**
 * Which streams of a plan need features that the target's pool lacks. The first and the last stream of each dataset are checked: a
 * dataset that uses a feature once keeps it.
 */
export async function checkStreams(
  deps: StreamCheckDeps,
  datasets: readonly DatasetPlan[],
  lacking: readonly StreamFeature[],
  host: string,
): Promise<StreamCheck> {
  const refused = new Map<string, ErrorBody>();
  const notes: Note[] = [];
  const chains = datasets.filter(({ steps }) => steps.length > 0);
  let isComplete = chains.length <= mostRead;
  const lackedBy = async (step: Step): Promise<StreamFeature[]> => {
    const needed = await neededBy(deps, step);
    isComplete &&= needed !== undefined;
    return needed?.filter((feature) => lacking.includes(feature)) ?? [];
  };
  await pLimit(atOnce).map(chains.slice(0, mostRead), async ({ sourceDataset, targetDataset, steps }) => {
    const [first, last] = [steps[0], steps.at(-1)];
    const atFirst = first ? await lackedBy(first) : [];
    if (first && atFirst.length > 0) {
      refused.set(targetDataset, streamRefusal(first, atFirst, host).error);
      return;
    }
    const atLast = last && last !== first ? await lackedBy(last) : [];
    if (!last || atLast.length === 0) return;
    const message = `${streamRefusal(last, atLast, host).error.message} Snapshots before those that need it arrive.`;
    notes.push({ kind: 'features', dataset: sourceDataset, message });
  });
  return { refused, notes, isComplete };
}
