import type { StreamRequest } from '../../lib/zfs/argv.ts';
import type { Step } from '../../schemas/plan.ts';

/** What `zfs send` is asked for to make a step's stream. */
export const streamOf = ({ to, from, flags }: Step): StreamRequest => ({
  to: to.name,
  ...(from && { from: from.name }),
  ...(flags && { flags }),
});
