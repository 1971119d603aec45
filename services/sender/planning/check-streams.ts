import pLimit from 'p-limit';
import type { DatasetPlan } from '../../../lib/plan/dataset-plan.ts';
import { beginningBytes, featuresNeeded, streamRefusal } from '../../../lib/plan/steps/stream-needs.ts';
import { timing } from '../../../lib/time/timing.ts';
import type { Zfs } from '../../../lib/zfs/zfs.ts';
import type { ErrorBody } from '../../../schemas/errors.ts';
import type { Note, Step } from '../../../schemas/plan.ts';
import type { StreamFeature } from '../../../schemas/stream.ts';
import { streamOf } from '../transfer/stream-request.ts';

/** Datasets whose streams are begun to be read; of others it stays unknown. */
const mostRead = 500;
const atOnce = 4;

export interface StreamCheck {
  /** By the target's dataset: its first stream cannot be received there. */
  readonly refused: ReadonlyMap<string, ErrorBody>;
  /** Of datasets whose later streams cannot. */
  readonly notes: readonly Note[];
  /** All that was asked could be read. */
  readonly isComplete: boolean;
}

/** What a step's stream needs of the pool that receives it: the beginning of `zfs send` says so. Undefined where it cannot be had. */
async function neededBy(zfs: Pick<Zfs, 'send'>, step: Step): Promise<StreamFeature[] | undefined> {
  // with properties the stream is wrapped in another one, which says less
  const sending = zfs.send(streamOf({ ...step, flags: step.flags?.filter((flag) => flag !== 'props') ?? [] }));
  const timer = setTimeout(() => sending.kill(), timing.job.streamCheckMs);
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
    clearTimeout(timer);
    sending.kill();
  }
}

/**
 * Which streams of a plan need what the target's pool lacks. Of each dataset the first and the last are looked at: a feature that is once
 * used by a dataset stays so.
 */
export async function checkStreams(
  zfs: Pick<Zfs, 'send'>,
  datasets: readonly DatasetPlan[],
  lacking: readonly StreamFeature[],
  host: string,
): Promise<StreamCheck> {
  const refused = new Map<string, ErrorBody>();
  const notes: Note[] = [];
  const chains = datasets.filter(({ steps }) => steps.length > 0);
  let isComplete = chains.length <= mostRead;
  const lackedBy = async (step: Step): Promise<StreamFeature[]> => {
    const needed = await neededBy(zfs, step);
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
