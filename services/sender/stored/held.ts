import type { Bus } from '../../../lib/bus/connect.ts';
import { request } from '../../../lib/bus/request.ts';
import type { StreamsBucket } from '../../../lib/bus/store/bucket.ts';
import type { PlacedReceipt } from '../../../lib/bus/store/receipts.ts';
import { storedName, subjects } from '../../../lib/bus/subjects.ts';
import { type ErrorBody, ZpsendError } from '../../../schemas/errors.ts';
import { infoSchema } from '../../../schemas/host.ts';
import type { Manifest, StoredStart } from '../../../schemas/stored.ts';
import { heldOf, isAbout } from './last-words.ts';
import type { Place } from './sights.ts';

export interface HeldDeps {
  readonly bus: Bus;
  readonly bucket: StreamsBucket;
  /** How long a receiver has to take up what is stored for it, in milliseconds. */
  readonly heedMs?: number;
}

/** How long the target has to say that it is there, in milliseconds. */
const answerMs = 2000;

/**
 * Why what waits for a place is not taken there, as far as the target says so, or it shows; by its datasets. Never fails.
 * @param receipts those of the target
 */
export async function heldAt(
  deps: HeldDeps,
  place: Place,
  waiting: readonly Manifest[],
  receipts: readonly PlacedReceipt[],
): Promise<Map<string, ErrorBody>> {
  const startsOf = ({ targets }: Manifest): StoredStart[] =>
    targets.flatMap(({ host: target, start }) => (isAbout(place, { target, start }) ? [start] : []));
  const own = waiting.filter((manifest) => startsOf(manifest).length > 0);
  const said = heldOf(own, receipts).filter((one) => isAbout(place, one));
  if (said.length > 0) return new Map(said.reverse().map(({ start, error }) => [start.dataset, error]));
  const known = new Set(waiting.map(({ id }) => id));
  if (own.length === 0 || receipts.some(({ id }) => known.has(id))) return new Map();
  const error = await unheeded(deps, place, own).catch(() => undefined);
  return new Map(error ? own.flatMap(startsOf).map(({ dataset }) => [dataset, error]) : []);
}

/** A receiver is there, and has said nothing of any stream. */
async function unheeded(
  { bus, bucket, heedMs = 60_000 }: HeldDeps,
  { host, root }: Place,
  [oldest]: readonly Manifest[],
): Promise<ErrorBody | undefined> {
  const { instances } = await request(bus, subjects.info(host), {}, infoSchema, answerMs);
  if (!oldest || !instances.some(({ service }) => service === 'receiver')) return undefined;
  const age = await bucket.idle([storedName({ kind: 'manifest', id: oldest.id })]);
  if (age === undefined || age < heedMs) return undefined;
  const { source } = oldest;
  return new ZpsendError(
    'TIMEOUT',
    `the receiver of ${host} answers, and has not begun with what waits for it in the store for ${Math.round(age / 1000)} s: ` +
      `if that stays so, see whether its receive.allow (ZPSEND_ALLOW) names ${source}, and whether its user may read that store ` +
      `(zpsend deploy permissions --from ${source}); its log may say more`,
    { host, dataset: root },
  ).toBody();
}
