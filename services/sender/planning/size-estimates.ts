import pLimit from 'p-limit';
import type { DatasetPlan } from '../../../lib/plan/dataset-plan.ts';
import type { Clock } from '../../../lib/time/clock.ts';
import { timing } from '../../../lib/time/timing.ts';
import type { Zfs } from '../../../lib/zfs/zfs.ts';
import type { Step } from '../../../schemas/plan.ts';
import { streamOf } from '../transfer/stream-request.ts';

/** ZFS estimates at most this many steps of a plan; a longer plan keeps the sizes of the listing. */
const mostAsked = 2000;
const atOnce = 4;

/** A running job estimates only steps of at least this many bytes: a smaller one is sent before its estimate is there. */
const large = 8 * 1024 * 1024;
const atOnceBeside = 2;

/** ZFS's own estimate (`zfs send -nP`) in bytes; undefined if there is none. */
const estimate = (zfs: Zfs, step: Step): Promise<number | undefined> =>
  zfs.estimate(streamOf(step)).catch(() => undefined);

/** The steps in their order with ZFS's own estimates, in parts, as they become known. */
export async function* withSizes(
  { zfs, clock }: { readonly zfs: Zfs; readonly clock: Pick<Clock, 'after'> },
  steps: readonly Step[],
  ms = timing.job.estimatesMs,
): AsyncGenerator<Step[]> {
  if (steps.length > mostAsked) return yield [...steps];
  const sized: Step[] = [];
  let reported = 0;
  let wanted = true;
  const all = pLimit(atOnce).map(steps, async (step, index) => {
    const size = wanted ? await estimate(zfs, step) : undefined;
    sized[index] = size === undefined ? step : { ...step, size };
  });
  try {
    while (reported < steps.length) {
      const part = Promise.withResolvers<void>();
      const cancel = clock.after(ms, part.resolve);
      await Promise.race([all, part.promise]);
      cancel();
      const upTo = steps.findIndex((_, index) => index >= reported && !sized[index]);
      const some = sized.slice(reported, upTo < 0 ? steps.length : upTo);
      reported += some.length;
      if (some.length > 0) yield some;
    }
  } finally {
    wanted = false;
  }
}

/** The part of a job's progress that estimates need. */
interface StepSizes {
  /** Has the step not been sent yet? */
  isLeft(chain: number, steps: readonly Step[], at: number): boolean;
  /** @param size ZFS's estimate, in bytes */
  estimated(chain: number, step: Step, size: number): void;
}

/** Estimates the large steps of a running job, a few at a time, for its progress. */
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
