/**
 * Builds and parses the subjects, bucket names and keys of the bus. `permissions.ts` has their patterns.
 * Hosts and ids are single tokens by their schemas; dataset names are encoded.
 */

export type ReceiverVerb = 'start' | 'check' | 'status' | 'abort' | 'stale' | 'repair';
export type SenderVerb = 'plan' | 'start' | 'status' | 'abort' | 'stale' | 'repair' | 'policies';
export type DigestVerb = 'start' | 'status' | 'abort';
export type EventKind = 'job' | 'recv';
export type EventWhat = 'started' | 'progress' | 'done' | 'failed';

export const locksBucket = 'zfs-locks';
export const statusBucket = 'zfs-status';
/** The machine of each host name: one key for each host. */
export const hostsBucket = 'zfs-hosts';
/** For people: `nats kv info`. */
export const statusDescription = 'zpsend: what each replication looks like';
/** The object store in which a source stores streams for targets that fetch them later. */
export const streamsBucket = (source: string): string => `zfs-streams-${source}`;
export const policiesBucket = 'zfs-policies';
/** The stream that keeps snapshot events. */
export const eventsStream = 'ZFS_EVENTS';

export const subjects = {
  info: (host: string) => `zfs.${host}.info`,
  snapshots: (host: string) => `zfs.${host}.snapshots`,
  /** The same, for a request of another host under its own name. `*` for every host. Ids have at least six characters, so `from` is not an id. */
  snapshotsFrom: (host: string, asker: string) => `zfs.${host}.snapshots.from.${asker}`,
  receive: (host: string, verb: ReceiverVerb) => `zfs.${host}.recv.${verb}`,
  /** `recv.start` from a source: the server lets each host ask only under its own name. `*` for every source. */
  receiveFrom: (host: string, source: string) => `zfs.${host}.recv.start.${source}`,
  /** Asks which steps of a plan would be refused; from a source under its own name. `*` for every source. */
  receiveCheckFrom: (host: string, source: string) => `zfs.${host}.recv.check.${source}`,
  send: (host: string, verb: SenderVerb) => `zfs.${host}.send.${verb}`,
  /** `send.start` from another host under its own name. `*` for every host. Ids have at least six characters, so `from` is not an id. */
  sendFrom: (host: string, from: string) => `zfs.${host}.send.start.from.${from}`,
  digest: (host: string, verb: DigestVerb) => `zfs.${host}.digest.${verb}`,
  /** The same, for a request of another host under its own name. `*` for every host. */
  digestFrom: (host: string, verb: DigestVerb, asker: string) => `zfs.${host}.digest.${verb}.from.${asker}`,
  /** The same endpoint of one instance, outside the queue group. */
  instance: (subject: string, instance: string) => `${subject}.${instance}`,
  /** Every instance answers for itself. Ids have at least six characters, so `each` is not an id. */
  each: (subject: string) => `${subject}.each`,
  event: (host: string, kind: EventKind, what: EventWhat | '*') => `zfs.${host}.event.${kind}.${what}`,
  /** A trigger: a dataset of the host has a new snapshot. */
  snapshotCreated: (host: string) => `zfs.${host}.event.snapshot.created`,
  data: (source: string, target: string, transfer: string) => `zfs-data.${source}.${target}.${transfer}`,
  /** A stream that several receivers read at once. No host is named `_fan`. */
  shared: (source: string, fan: string) => `zfs-data.${source}._fan.${fan}`,
  credit: (source: string, transfer: string, target: string) => `zfs-credit.${source}.${transfer}.${target}`,
};

/** All subjects below a host's name that it answers; not its events. */
export const endpointsOf = (host: string): string[] => [
  ...[subjects.info(host), subjects.snapshots(host)].flatMap((subject) => [subject, `${subject}.>`]),
  ...['recv', 'send', 'digest'].map((what) => `zfs.${host}.${what}.>`),
];

/** `zfs.<host>.event.<kind>.<what>` in its parts; undefined for any other subject. */
export function parseEvent(subject: string): { host: string; kind: string; what: string } | undefined {
  const [zfs, host, event, kind, what, ...rest] = subject.split('.');
  if (zfs !== 'zfs' || event !== 'event' || !host || !kind || !what || rest.length > 0) return undefined;
  return { host, kind, what };
}

/** A dataset name as one token of a key: the separator, and characters that a key does not allow, become `=XX`. */
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

/** `<host>.<name>`: the key of a policy, in its parts; undefined for a key that names no host. */
export function parsePolicyKey(key: string): { host: string; name: string } | undefined {
  const [, host, name] = /^([A-Za-z0-9_-]{1,64})\.(.+)$/.exec(key) ?? [];
  return host !== undefined && name !== undefined ? { host, name } : undefined;
}

/** A lock's key in its parts; undefined for a key that is not one. */
export function parseLockKey(key: string): { host: string; dataset: string } | undefined {
  const dot = key.indexOf('.');
  if (dot < 1 || dot === key.length - 1) return undefined;
  const token = key.slice(dot + 1);
  const dataset = decodeDataset(token);
  return encodeDataset(dataset) === token ? { host: key.slice(0, dot), dataset } : undefined;
}

/** The kind of an object in a store. Ids have at least six characters, so `known` is not an id. */
export type StoredName =
  | { readonly kind: 'manifest'; readonly id: string }
  | { readonly kind: 'segment'; readonly id: string; readonly at: number }
  /** The known target, for planning while it is offline. */
  | { readonly kind: 'known'; readonly target: string; readonly dataset: string };

const digits = 6;

export function storedName(of: StoredName): string {
  if (of.kind === 'known') return `known/${of.target}/${of.dataset}`;
  return `${of.id}/${of.kind === 'manifest' ? 'manifest' : String(of.at).padStart(digits, '0')}`;
}

/** An object's name in its parts; undefined for a name that is not zpsend's. */
export function parseStoredName(name: string): StoredName | undefined {
  const [, target, dataset] = /^known\/([A-Za-z0-9_-]+)\/(.+)$/.exec(name) ?? [];
  if (target !== undefined && dataset !== undefined) return { kind: 'known', target, dataset };
  const [, id, what] = /^([A-Za-z0-9]{6,32})\/(manifest|[0-9]{6})$/.exec(name) ?? [];
  if (id === undefined || what === undefined) return undefined;
  return what === 'manifest' ? { kind: 'manifest', id } : { kind: 'segment', id, at: Number(what) };
}

/** The key of a target's delivery receipt; `place` is the index of the target in the manifest. */
export const receiptKey = (target: string, source: string, id: string, place: number): string =>
  `${target}.delivered.${source}.${id}.${place}`;

/** Keys of a source's receipts from one target, or from all. */
export const receiptKeys = (target: string, source: string): string => `${target}.delivered.${source}.>`;

export function parseReceiptKey(
  key: string,
): { target: string; source: string; id: string; place: number } | undefined {
  const [, target, source, id, place] =
    /^([A-Za-z0-9_-]+)\.delivered\.([A-Za-z0-9_-]+)\.([A-Za-z0-9]+)\.([0-9]+)$/.exec(key) ?? [];
  if (target === undefined || source === undefined || id === undefined) return undefined;
  return { target, source, id, place: Number(place) };
}

/** One dataset of a source, and its target. */
export interface StatusPlace {
  readonly source: string;
  readonly dataset: string;
  readonly target: string;
  /** The dataset on the target. */
  readonly into: string;
}

/**
 * `<source>.to.<target>.<dataset>`, followed by the target's dataset if that has another name, since a dataset may have several targets
 * on one host. Other keys of the bucket are not statuses.
 */
export const statusKey = ({ source, dataset, target, into }: StatusPlace): string =>
  [source, 'to', target, encodeDataset(dataset), ...(into === dataset ? [] : [encodeDataset(into)])].join('.');

/** A status key in its parts; undefined for a key that is not one. */
export function parseStatusKey(key: string): StatusPlace | undefined {
  const [source, to, target, token, other = token, ...rest] = key.split('.');
  if (!source || to !== 'to' || !target || !token || !other || rest.length > 0) return undefined;
  const place = { source, dataset: decodeDataset(token), target, into: decodeDataset(other) };
  return statusKey(place) === key ? place : undefined;
}

/** Keys of all statuses, of one source, or of one source and one target. */
export const statusKeys = (source = '*', target = '*'): string => `${source}.to.${target}.>`;

/** The subject that a key of a KV bucket is stored under (ADR-8). */
export const keySubject = (bucket: string, key: string): string => `$KV.${bucket}.${key}`;

/** The key in a subject of a bucket; undefined for any other subject. */
export function parseKeySubject(bucket: string, subject: string): string | undefined {
  const prefix = keySubject(bucket, '');
  return subject.startsWith(prefix) ? subject.slice(prefix.length) : undefined;
}
