import type { ReceiveConfig } from '../../../schemas/config.ts';
import { type ErrorBody, ZpsendError } from '../../../schemas/errors.ts';
import type { ReceiveCheck, ReceiveChecked, ReceiveStart } from '../../../schemas/transfer.ts';
import { checkAllowed, placesOf } from './admission.ts';
import { checkResolution } from './allowed-conflicts.ts';
import { checkMadeWithin } from './parents.ts';
import { checkProperties } from './properties.ts';

type Config = Pick<ReceiveConfig, 'allow' | 'properties'>;

/**
 * Checks a request against this receiver's configuration.
 * @throws ZpsendError NOT_ALLOWED, BAD_REQUEST
 */
export function checkConfigured(start: ReceiveStart, host: string, config: Config): void {
  checkAllowed(start, host, config);
  checkResolution(start, host, config.allow);
  checkProperties(start, host, config);
}

/**
 * The starts that `recv.start` would refuse by the configuration, with the same errors. The state of the target is not checked: the sender
 * has listed it.
 * @param limit about how many bytes of JSON a part has
 */
export function* checkedParts(
  { sourceHost, starts, properties }: ReceiveCheck,
  host: string,
  config: Config,
  limit: number,
): Generator<ReceiveChecked> {
  let refused: ReceiveChecked['refused'] = [];
  let room = limit;
  for (const asked of starts) {
    // ids without a use
    const order = { transfer: 'check000', job: 'check000', partial: 'resume' as const };
    const error = refusalOf({ ...order, ...asked, sourceHost, ...(properties && { properties }) }, host, config);
    if (!error) continue;
    const one = { targetDataset: asked.targetDataset, error };
    refused.push(one);
    room -= Buffer.byteLength(JSON.stringify(one));
    if (room > 0) continue;
    yield { host, refused };
    refused = [];
    room = limit;
  }
  yield { host, refused };
}

function refusalOf(start: ReceiveStart, host: string, config: Config): ErrorBody | undefined {
  try {
    checkConfigured(start, host, config);
    checkMadeWithin(placesOf(start, config.allow), start.parents ?? [], start.sourceHost, host);
    return undefined;
  } catch (thrown) {
    return ZpsendError.from(thrown).toBody();
  }
}
