import type { Zfs } from '../../../lib/zfs/zfs.ts';
import { ZpsendError } from '../../../schemas/errors.ts';
import type { ReceiveStart } from '../../../schemas/transfer.ts';
import { arrivalOf } from '../admission/admission.ts';
import { checkType } from '../admission/properties.ts';

/** Checks that the received snapshot is the announced one (I6). @throws ZpsendError STREAM_BROKEN */
export async function verifyArrival(zfs: Pick<Zfs, 'inspect'>, start: ReceiveStart, host: string): Promise<void> {
  const name = arrivalOf(start);
  const inspected = await zfs.inspect(start.volume ? [name, start.targetDataset] : [name]);
  const arrived = inspected.find((one) => one.name === name);
  checkType(start, host, inspected);
  if (arrived?.guid === start.to.guid) return;
  const found = arrived ? `has guid ${arrived.guid}, not ${start.to.guid}` : 'is not listed';
  throw new ZpsendError('STREAM_BROKEN', `zfs receive succeeded, but ${name} ${found} on ${host}`, { snapshot: name });
}
