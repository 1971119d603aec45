import type { Zfs } from '../../lib/zfs/zfs.ts';
import type { Plan, Step } from '../../schemas/plan.ts';

/** Beyond this many steps the listing's own figures have to do: an answer is due in seconds. */
const asked = 64;
const atOnce = 4;

/** The plan with ZFS's own estimates (`zfs send -nP`), asked for a few at a time. */
export async function withSizes(zfs: Zfs, plan: Plan): Promise<Plan> {
  if (!plan.ok || plan.steps.length > asked) return plan;
  const steps: Step[] = [...plan.steps];
  const next = steps.entries();
  const worker = async () => {
    for (const [index, step] of next) {
      const stream = step.from ? { to: step.to.name, from: step.from.name } : { to: step.to.name };
      const size = await zfs.estimate(stream).catch(() => undefined);
      if (size !== undefined) steps[index] = { ...step, size };
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return { ok: true, steps };
}
