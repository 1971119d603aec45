import { matches } from '../../../lib/plan/request/pattern.ts';
import { ownProperties } from '../../../lib/zfs/argv.ts';
import { fits } from '../../../lib/zfs/property-types.ts';
import type { InspectedName } from '../../../lib/zfs/zfs.ts';
import type { ReceiveConfig } from '../../../schemas/config.ts';
import { ZpsendError } from '../../../schemas/errors.ts';
import { isWithin } from '../../../schemas/names.ts';
import type { ReceiveStart } from '../../../schemas/transfer.ts';

/** Where it is remembered what a chain began with; children inherit it, hence the guid in its value. */
export const streamProperty = 'zpsend:stream';

type Config = Pick<ReceiveConfig, 'allow' | 'properties'>;

/**
 * What the source's values must not decide on this host: where its own paths and shares are, and what runs there. Left out of
 * every receive, whatever the request says of its stream: one without properties is received as without this. What was set here
 * by hand on a replica is not helped by -x against the first stream with properties that ever comes (test/contract/properties.test.ts).
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

/** What a request decides that is otherwise this host's to decide. */
function needingLeave({ properties: wishes = {} }: ReceiveStart, { set }: Config['properties']): string[] {
  const changed = Object.entries(wishes.set ?? {}).filter(([name, value]) => set[name] !== value);
  const dropped = (wishes.exclude ?? []).filter((name) => name in set);
  return [...new Set([...changed.map(([name]) => name), ...dropped, ...(wishes.include ?? [])])];
}

/**
 * May the request decide what it decides of the properties?
 * @throws ZpsendError NOT_ALLOWED with the line to add, BAD_REQUEST for a property that is set and left out at once
 */
export function checkProperties(start: ReceiveStart, host: string, { allow, properties }: Config): void {
  const { source, dataset, properties: wishes = {} } = start;
  const both = Object.keys(wishes.set ?? {}).find((name) => wishes.exclude?.includes(name));
  if (both !== undefined) {
    throw new ZpsendError('BAD_REQUEST', `property ${both} of ${dataset} is to be set and left out at once`, {
      dataset,
    });
  }
  const patterns = allow
    .filter(({ from, into }) => (from === '*' || from === source) && isWithin(dataset, into))
    .flatMap((rule) => rule.properties ?? []);
  const refused = needingLeave(start, properties).filter((name) => !patterns.some((one) => matches(one, name)));
  if (refused.length === 0) return;
  throw new ZpsendError(
    'NOT_ALLOWED',
    `${source} may not decide ${refused.join(', ')} of ${dataset} on ${host}. If it may, its receiver needs in that ` +
      `entry of receive.allow: properties: [${refused.map((name) => JSON.stringify(name)).join(', ')}]`,
    { source, dataset, properties: refused },
  );
}

/**
 * Is a volume what was said to be one? What is set on filesystems was not set on it.
 * @throws ZpsendError BAD_REQUEST
 */
export function checkType(
  start: ReceiveStart,
  host: string,
  seen: readonly Pick<InspectedName, 'name' | 'type'>[],
): void {
  const { dataset, source, volume } = start;
  const type = seen.find(({ name }) => name === dataset)?.type;
  if (!volume || type !== 'filesystem') return;
  throw new ZpsendError(
    'BAD_REQUEST',
    `${source} said that ${dataset} is a volume, and what arrived on ${host} is a filesystem, without the properties that its ` +
      'receiver sets: look at it (zfs get all), and set them or destroy it',
    { dataset, source },
  );
}

/**
 * `-o` and `-x` of one receive, of a request that may decide what it does, and what its chain began with. A property that does not fit the type is not set, since
 * `zfs receive` would refuse the stream for it; of one to leave out it only warns.
 * @param type of the dataset that the step adds to; what makes one is believed until it is there, see `checkType`
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
  // else a plain stream would bring its encryption=off into an encrypted place; a raw one brings its own, which cannot be left out
  const encryption = start.props && !start.raw && !start.from ? ['encryption'] : [];
  const left = new Set([...ofThisHost, ...ownProperties, ...exclude, ...unset, ...encryption]);
  return {
    set: Object.fromEntries([...wanted.filter(([name]) => fits(name, kind)), ...remembered]),
    exclude: [...left].filter((name) => !kept.has(name)),
  };
}
