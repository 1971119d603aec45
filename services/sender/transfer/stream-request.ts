import type { StreamRequest } from '../../../lib/zfs/argv.ts';
import type { ExpectedStream } from '../../../lib/zfs/stream-head.ts';
import type { Step } from '../../../schemas/plan.ts';

/** What `zfs send` is asked for to make a step's stream. */
export const streamOf = ({ to, from, flags }: Step): StreamRequest => ({
  to: to.name,
  ...(from && { from: from.name }),
  ...(flags && { flags }),
});

/** What that stream has to begin with, resumed or not: the plan's own guids and flags. */
export const expectedOf = ({ to, from, flags = [] }: Step): ExpectedStream => ({
  ...{ toguid: to.guid, fromguid: from?.guid, raw: flags.includes('raw'), flags },
});
