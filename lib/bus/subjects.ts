/**
 * Every subject, bucket name and key of the bus is built and parsed here.
 * Hosts and ids are single tokens by their schemas; dataset names are encoded.
 */

export type ReceiverVerb = 'start' | 'status' | 'abort' | 'leftovers' | 'mend';
export type SenderVerb = 'plan' | 'start' | 'status' | 'abort' | 'leftovers' | 'mend' | 'policies';
export type DigestVerb = 'start' | 'status' | 'abort';
export type EventKind = 'job' | 'recv';
export type EventWhat = 'started' | 'progress' | 'done' | 'failed';

export const locksBucket = 'zfs-locks';
export const policiesBucket = 'zfs-policies';
/** The stream that keeps what was said of new snapshots. */
export const eventsStream = 'ZFS_EVENTS';

export const subjects = {
  info: (host: string) => `zfs.${host}.info`,
  snapshots: (host: string) => `zfs.${host}.snapshots`,
  receive: (host: string, verb: ReceiverVerb) => `zfs.${host}.recv.${verb}`,
  send: (host: string, verb: SenderVerb) => `zfs.${host}.send.${verb}`,
  digest: (host: string, verb: DigestVerb) => `zfs.${host}.digest.${verb}`,
  /** The same endpoint of one instance, outside the queue group. */
  instance: (subject: string, instance: string) => `${subject}.${instance}`,
  /** Answered by every instance, each for itself. Ids have six characters or more, so this is none. */
  each: (subject: string) => `${subject}.each`,
  event: (host: string, kind: EventKind, what: EventWhat | '*') => `zfs.${host}.event.${kind}.${what}`,
  /** A hint that a dataset of the host has a new snapshot. */
  snapshotCreated: (host: string) => `zfs.${host}.event.snapshot.created`,
  data: (source: string, target: string, transfer: string) => `zfs-data.${source}.${target}.${transfer}`,
  /** A stream that several receivers read at once. No host has that name. */
  shared: (source: string, fan: string) => `zfs-data.${source}._fan.${fan}`,
  credit: (source: string, transfer: string, target: string) => `zfs-credit.${source}.${transfer}.${target}`,
};

/** `zfs.<host>.event.<kind>.<what>` taken apart; undefined for any other subject. */
export function parseEvent(subject: string): { host: string; kind: string; what: string } | undefined {
  const [zfs, host, event, kind, what, ...rest] = subject.split('.');
  if (zfs !== 'zfs' || event !== 'event' || !host || !kind || !what || rest.length > 0) return undefined;
  return { host, kind, what };
}

/** A dataset name as one token of a key: what a key may not hold (and the token separator) becomes `=XX`. */
export const encodeDataset = (dataset: string): string =>
  Array.from(new TextEncoder().encode(dataset), (byte) => {
    const character = String.fromCharCode(byte);
    return /[A-Za-z0-9_/-]/.test(character) ? character : `=${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }).join('');

/** The inverse of encodeDataset. */
export function decodeDataset(token: string): string {
  const bytes = token.match(/=[0-9A-F]{2}|[^=]/g) ?? [];
  return new TextDecoder().decode(
    Uint8Array.from(bytes, (part) => (part.length === 3 ? Number.parseInt(part.slice(1), 16) : part.charCodeAt(0))),
  );
}

export const lockKey = (host: string, dataset: string): string => `${host}.${encodeDataset(dataset)}`;

/** `<host>.<name>`: the key of a policy, taken apart; undefined for a key that names no host. */
export function parsePolicyKey(key: string): { host: string; name: string } | undefined {
  const [, host, name] = /^([A-Za-z0-9_-]{1,64})\.(.+)$/.exec(key) ?? [];
  return host !== undefined && name !== undefined ? { host, name } : undefined;
}

/** A lock's key taken apart; undefined for a key that is not one. */
export function parseLockKey(key: string): { host: string; dataset: string } | undefined {
  const dot = key.indexOf('.');
  if (dot < 1 || dot === key.length - 1) return undefined;
  const token = key.slice(dot + 1);
  const dataset = decodeDataset(token);
  return encodeDataset(dataset) === token ? { host: key.slice(0, dot), dataset } : undefined;
}
