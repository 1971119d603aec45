import { compareWrappings } from '../../../lib/plan/placement/key-wrapping.ts';
import type { InspectedName, Zfs } from '../../../lib/zfs/zfs.ts';
import { ZpsendError } from '../../../schemas/errors.ts';
import { datasetOf } from '../../../schemas/names.ts';
import type { ReceiveStart } from '../../../schemas/transfer.ts';

type Asked = Pick<
  ReceiveStart,
  'raw' | 'from' | 'origin' | 'dataset' | 'wrapping' | 'replaces' | 'encryptionRoot' | 'to' | 'source'
>;

/**
 * Looks once more, since the plan, whether the root that a dataset takes its key from here has the key that a raw increment brings:
 * another one locks the dataset out for good. A stored stream may be planned long before it is received.
 * @param seen what was looked at of the dataset
 * @throws ZpsendError KEY_MISMATCH
 */
export async function checkKey(
  zfs: Pick<Zfs, 'inspect'>,
  start: Asked,
  host: string,
  seen: readonly InspectedName[],
): Promise<void> {
  const { dataset, raw, from, origin, wrapping } = start;
  await checkReplaced(zfs, start, host, seen);
  const there = seen.find(({ name }) => name === dataset);
  const root = there?.encryptionRoot;
  if (!raw || !from || origin !== undefined || !there || root === undefined) return;
  if ((await holderOf(zfs, there)) === root) return;
  const [rootSeen] = await zfs.inspect([root]);
  const sameness = compareWrappings(wrapping, rootSeen?.wrapping);
  if (sameness === 'same' || (sameness === 'unknown' && start.encryptionRoot === root)) return;
  throw new ZpsendError(
    'KEY_MISMATCH',
    `${dataset} on ${host} takes its key from ${root}, which does not have the key that ${start.to.name} of ${start.source} brings: ` +
      `one of them had a change-key since this was planned. Plan it again, which tells what to do; or give ${dataset} a key of its own on ` +
      `${host}: zfs load-key ${root}; zfs change-key -o keyformat=passphrase -o keylocation=prompt ${dataset}`,
    { dataset, encryptionRoot: root },
  );
}

/** A key that was changed here since the plan is not overwritten by the old one: what takes its key from there could not be opened any more. */
async function checkReplaced(
  zfs: Pick<Zfs, 'inspect'>,
  { dataset, origin, replaces, to, source }: Asked,
  host: string,
  seen: readonly InspectedName[],
): Promise<void> {
  if (replaces === undefined) return;
  const holder = origin === undefined ? dataset : datasetOf(origin);
  const there = seen.find(({ name }) => name === holder) ?? (await zfs.inspect([holder]))[0];
  if (!there || compareWrappings(there.wrapping, replaces) !== 'different') return;
  throw new ZpsendError(
    'KEY_MISMATCH',
    `${holder} on ${host} had a change-key since ${to.name} of ${source} was planned, and would get an older key back: what takes its key from ` +
      `${holder} could not be opened any more. Plan it again while ${host} answers, which tells what to do`,
    { reason: 'key-changed', dataset: holder },
  );
}

/** A clone shares the key of what it was made from (contract/encryption-roots.test.ts). */
async function holderOf(zfs: Pick<Zfs, 'inspect'>, { name, origin }: InspectedName): Promise<string> {
  if (origin === undefined) return name;
  const [parent] = await zfs.inspect([datasetOf(origin)]);
  return parent ? holderOf(zfs, parent) : datasetOf(origin);
}
