import type { StreamRequest } from '../../../lib/zfs/argv.ts';
import type { ExpectedStream } from '../../../lib/zfs/stream-head.ts';
import type { Step } from '../../../schemas/plan.ts';

/** The `zfs send` request of a step's stream. */
export const streamOf = ({ to, from, flags }: Step): StreamRequest => ({
  to: to.name,
  ...(from && { from: from.name }),
  ...(flags && { flags }),
});

/** The expected beginning of that stream, resumed or not: the plan's guids and flags. */
export const expectedOf = ({ to, from, flags = [] }: Step): ExpectedStream => ({
  ...{ toguid: to.guid, fromguid: from?.guid, raw: flags.includes('raw'), flags },
});
