import { compareWrappings } from '../../../lib/plan/placement/key-wrapping.ts';
import type { InspectedName, Zfs } from '../../../lib/zfs/zfs.ts';
import { ZpsendError } from '../../../schemas/errors.ts';
import { datasetOf } from '../../../schemas/names.ts';
import type { ReceiveStart } from '../../../schemas/transfer.ts';

type Asked = Pick<
  ReceiveStart,
  'raw' | 'from' | 'origin' | 'targetDataset' | 'wrapping' | 'replaces' | 'encryptionRoot' | 'to' | 'sourceHost'
>;

/**
 * Checks again whether the encryption root of a dataset has the key that a raw increment brings: with another one the dataset could
 * never be opened again. A stored stream may be planned long before it is received.
 * @param seen the inspected names, the dataset among them
 * @throws ZpsendError KEY_MISMATCH
 */
export async function checkKey(
  zfs: Pick<Zfs, 'inspect'>,
  start: Asked,
  host: string,
  seen: readonly InspectedName[],
): Promise<void> {
  const { targetDataset, raw, from, origin, wrapping } = start;
  await checkReplaced(zfs, start, host, seen);
  const there = seen.find(({ name }) => name === targetDataset);
  const root = there?.encryptionRoot;
  if (!raw || !from || origin !== undefined || !there || root === undefined) return;
  if ((await holderOf(zfs, there)) === root) return;
  const [rootSeen] = await zfs.inspect([root]);
  const sameness = compareWrappings(wrapping, rootSeen?.wrapping);
  if (sameness === 'same' || (sameness === 'unknown' && start.encryptionRoot === root)) return;
  throw new ZpsendError(
    'KEY_MISMATCH',
    `${targetDataset} on ${host} inherits its key from ${root}, which lacks the key of ${start.to.name} on ${start.sourceHost}: ` +
      `one of them had a change-key since this was planned. Send again: the new plan has the fix. Or give ${targetDataset} its own key on ` +
      `${host}: zfs load-key ${root}; zfs change-key -o keyformat=passphrase -o keylocation=prompt ${targetDataset}`,
    { dataset: targetDataset, encryptionRoot: root },
  );
}

/** A key that was changed on the target since the plan is not overwritten by an older one: its children could not be opened then. */
async function checkReplaced(
  zfs: Pick<Zfs, 'inspect'>,
  { targetDataset, origin, replaces, to, sourceHost }: Asked,
  host: string,
  seen: readonly InspectedName[],
): Promise<void> {
  if (replaces === undefined) return;
  const holder = origin === undefined ? targetDataset : datasetOf(origin);
  const there = seen.find(({ name }) => name === holder) ?? (await zfs.inspect([holder]))[0];
  if (!there || compareWrappings(there.wrapping, replaces) !== 'different') return;
  throw new ZpsendError(
    'KEY_MISMATCH',
    `${holder} on ${host} had a change-key since ${to.name} of ${sourceHost} was planned, and would get an older key back. Then datasets that inherit their key from ` +
      `${holder} could not be unlocked. Send again while ${host} is online: the new plan has the fix`,
    { reason: 'key-changed', dataset: holder },
  );
}

/** A clone shares the key of its origin (contract/encryption-roots.test.ts). */
async function holderOf(zfs: Pick<Zfs, 'inspect'>, { name, origin }: InspectedName): Promise<string> {
  if (origin === undefined) return name;
  const [parent] = await zfs.inspect([datasetOf(origin)]);
  return parent ? holderOf(zfs, parent) : datasetOf(origin);
}
