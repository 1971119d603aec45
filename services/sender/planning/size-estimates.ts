import { setTimeout as sleep } from 'node:timers/promises';
import pLimit from 'p-limit';
import type { DatasetPlan } from '../../../lib/plan/dataset-plan.ts';
import { timing } from '../../../lib/time/timing.ts';
import type { Zfs } from '../../../lib/zfs/zfs.ts';
import type { Step } from '../../../schemas/plan.ts';
import { streamOf } from '../transfer/stream-request.ts';

/** Steps of a plan whose size ZFS is asked for; in a longer one the listing's own figures have to do. */
const mostAsked = 2000;
const atOnce = 4;

/** A job asks only about steps of this many bytes or more: a smaller one is sent before it is asked about. */
const large = 8 * 1024 * 1024;
const atOnceBeside = 2;

/** ZFS's own estimate (`zfs send -nP`) in bytes; undefined where there is none. */
const estimate = (zfs: Zfs, step: Step): Promise<number | undefined> =>
  zfs.estimate(streamOf(step)).catch(() => undefined);

/** The steps in their order with ZFS's own estimates, some at a time as they become known. */
export async function* withSizes(
  zfs: Zfs,
  steps: readonly Step[],
  ms = timing.job.estimatesMs,
): AsyncGenerator<Step[]> {
  if (steps.length > mostAsked) return yield [...steps];
  const sized: Step[] = [];
  let told = 0;
  let wanted = true;
  const all = pLimit(atOnce).map(steps, async (step, index) => {
    const size = wanted ? await estimate(zfs, step) : undefined;
    sized[index] = size === undefined ? step : { ...step, size };
  });
  try {
    while (told < steps.length) {
      await Promise.race([all, sleep(ms, undefined, { ref: false })]);
      const upTo = steps.findIndex((_, index) => index >= told && !sized[index]);
      const some = sized.slice(told, upTo < 0 ? steps.length : upTo);
      told += some.length;
      if (some.length > 0) yield some;
    }
  } finally {
    wanted = false;
  }
}

/** What a job's progress tells of a step, and is told of it. */
interface StepSizes {
  /** Is that step of those steps still to come? */
  isLeft(chain: number, steps: readonly Step[], at: number): boolean;
  /** @param size ZFS's estimate, in bytes */
  estimated(chain: number, step: Step, size: number): void;
}

/** Asks ZFS about the large steps of a job while it runs, a few at a time, for what its progress is measured by. */
export async function estimateLarge(zfs: Zfs, plans: readonly DatasetPlan[], progress: StepSizes): Promise<void> {
  await pLimit(atOnceBeside).map(largeSteps(plans), async ({ chain, steps, at, step }) => {
    const isLeft = () => progress.isLeft(chain, steps, at);
    const size = isLeft() ? await estimate(zfs, step) : undefined;
    if (size !== undefined && isLeft()) progress.estimated(chain, step, size);
  });
}

function* largeSteps(plans: readonly DatasetPlan[]) {
  let count = 0;
  for (const [chain, { steps }] of plans.entries()) {
    for (const [at, step] of steps.entries()) {
      if ((step.size ?? 0) < large) continue;
      if (count++ === mostAsked) return;
      yield { chain, steps, at, step };
    }
  }
}
