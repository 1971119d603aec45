import { matches } from '../../../lib/plan/request/pattern.ts';
import { ownProperties } from '../../../lib/zfs/argv.ts';
import { fits } from '../../../lib/zfs/property-types.ts';
import type { InspectedName } from '../../../lib/zfs/zfs.ts';
import type { ReceiveConfig } from '../../../schemas/config.ts';
import { ZpsendError } from '../../../schemas/errors.ts';
import { isWithin } from '../../../schemas/names.ts';
import type { ReceiveStart } from '../../../schemas/transfer.ts';

/** Stores the initial flags of a chain. Children inherit it, hence the guid in its value. */
export const streamProperty = 'zpsend:stream';

type Config = Pick<ReceiveConfig, 'allow' | 'properties'>;

/**
 * Properties that the source's values must not decide on this host: its paths and shares, and the programs that may run there. They are left out of
 * every receive. A local value that was set by hand is not protected by -x from the first stream with properties
 * (test/contract/properties.test.ts).
 */
export const ofThisHost: readonly string[] = [
  'mountpoint',
  'canmount',
  'sharenfs',
  'sharesmb',
  'exec',
  'setuid',
  'devices',
];

/** The properties of a request that need a permission of this host. */
function needingPermission({ properties: wishes = {} }: ReceiveStart, { set }: Config['properties']): string[] {
  const changed = Object.entries(wishes.set ?? {}).filter(([name, value]) => set[name] !== value);
  const dropped = (wishes.exclude ?? []).filter((name) => name in set);
  return [...new Set([...changed.map(([name]) => name), ...dropped, ...(wishes.include ?? [])])];
}

/**
 * May the request set, include and exclude these properties?
 * @throws ZpsendError NOT_ALLOWED with the line to add, BAD_REQUEST for a property that is set and left out at once
 */
export function checkProperties(start: ReceiveStart, host: string, { allow, properties }: Config): void {
  const { sourceHost, targetDataset, properties: wishes = {} } = start;
  const both = Object.keys(wishes.set ?? {}).find((name) => wishes.exclude?.includes(name));
  if (both !== undefined) {
    throw new ZpsendError('BAD_REQUEST', `property ${both} of ${targetDataset} is both set and excluded`, {
      dataset: targetDataset,
    });
  }
  const patterns = allow
    .filter(({ from, into }) => (from === '*' || from === sourceHost) && isWithin(targetDataset, into))
    .flatMap((rule) => rule.properties ?? []);
  const refused = needingPermission(start, properties).filter((name) => !patterns.some((one) => matches(one, name)));
  if (refused.length === 0) return;
  throw new ZpsendError(
    'NOT_ALLOWED',
    `${sourceHost} may not decide ${refused.join(', ')} of ${targetDataset} on ${host}. To allow it, add to that entry of its ` +
      `receive.allow: properties: [${refused.map((name) => JSON.stringify(name)).join(', ')}]`,
    { source: sourceHost, dataset: targetDataset, properties: refused },
  );
}

/**
 * Is the received dataset a volume where a volume was announced? The properties of filesystems were not set on it.
 * @throws ZpsendError BAD_REQUEST
 */
export function checkType(
  start: ReceiveStart,
  host: string,
  seen: readonly Pick<InspectedName, 'name' | 'type'>[],
): void {
  const { targetDataset, sourceHost, volume } = start;
  const type = seen.find(({ name }) => name === targetDataset)?.type;
  if (!volume || type !== 'filesystem') return;
  throw new ZpsendError(
    'BAD_REQUEST',
    `${sourceHost} announced ${targetDataset} as a volume, and a filesystem arrived on ${host}, without the properties that its ` +
      'receiver sets: check it (zfs get all), and set them or destroy it',
    { dataset: targetDataset, source: sourceHost },
  );
}

/**
 * `-o` and `-x` of one receive whose request is allowed, with the chain's initial flags. A property that does not fit the type is not
 * set, since `zfs receive` would refuse the stream; of an excluded one it only warns.
 * @param type of the dataset to which the step adds; undefined for a new one, whose announced type `checkType` checks later
 */
export function receiveProperties(
  start: ReceiveStart,
  type: 'filesystem' | 'volume' | undefined,
  { set, exclude }: Config['properties'],
): { set: Record<string, string>; exclude: string[] } {
  const wishes = start.properties ?? {};
  const unset = new Set(wishes.exclude);
  const remembered = start.record === undefined ? [] : [[streamProperty, start.record] as const];
  const kind = type ?? (start.volume ? 'volume' : 'filesystem');
  const wanted = Object.entries({ ...set, ...wishes.set }).filter(([name]) => !unset.has(name));
  const kept = new Set([...(wishes.include ?? []), ...[...wanted, ...remembered].map(([name]) => name)]);
  // else a plain stream would bring encryption=off below an encrypted parent; a raw one has its own, which cannot be excluded
  const encryption = start.props && !start.raw && !start.from ? ['encryption'] : [];
  const left = new Set([...ofThisHost, ...ownProperties, ...exclude, ...unset, ...encryption]);
  return {
    set: Object.fromEntries([...wanted.filter(([name]) => fits(name, kind)), ...remembered]),
    exclude: [...left].filter((name) => !kept.has(name)),
  };
}
