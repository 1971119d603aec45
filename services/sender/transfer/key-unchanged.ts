import { compareWrappings } from '../../../lib/plan/placement/key-wrapping.ts';
import type { Zfs } from '../../../lib/zfs/zfs.ts';
import { ZpsendError } from '../../../schemas/errors.ts';
import { datasetOf } from '../../../schemas/names.ts';
import type { Step } from '../../../schemas/plan.ts';

/**
 * `zfs send` reads the key of a raw stream as it begins, which may be long after the plan, so the key's wrapping is checked
 * directly before.
 * @throws ZpsendError KEY_MISMATCH, to be planned again
 */
export async function checkKeyUnchanged(
  zfs: Pick<Zfs, 'inspect'>,
  { to, wrapping }: Pick<Step, 'to' | 'wrapping'>,
): Promise<void> {
  if (!wrapping) return;
  const dataset = datasetOf(to.name);
  const [seen] = await zfs.inspect([dataset]);
  // zfs send reports a missing dataset
  if (!seen) return;
  const sameness = compareWrappings(seen.wrapping, wrapping);
  // a key without a salt is compared by its format only
  if (sameness === 'same' || (sameness === 'unknown' && wrapping.salt === undefined)) return;
  throw new ZpsendError('KEY_MISMATCH', `${dataset} had a change-key since ${to.name} was planned`, { dataset });
}
