import {
  endpointsOf,
  eventsStream,
  hostsBucket,
  keySubject,
  locksBucket,
  policiesBucket,
  receiptKeys,
  statusBucket,
  statusKeys,
  streamsBucket,
  subjects,
} from './subjects.ts';

/** The permissions of a NATS user, in the form of nats-server's `permissions` (docs.nats.io, "Authorization"). */
export interface Permissions {
  readonly publish: readonly string[];
  readonly subscribe: readonly string[];
}

export interface Roles {
  readonly sender: boolean;
  readonly receiver: boolean;
  /** Hosts on which it may start jobs, within their `send.allow`. */
  readonly orders?: readonly string[];
  /** Hosts whose stored streams it fetches and whose shared streams it reads, as a receiver. */
  readonly from?: readonly string[];
  /** The JetStream domain of those stores, if it is not that of the host's server. */
  readonly domain?: string | undefined;
}

/** The prefix of a host's inboxes, which no other host can read. It is below `_INBOX.`, where every host may publish replies. */
export const inboxPrefix = (host: string): string => `_INBOX.${host}`;

/** The same for a viewer. A viewer is not a host, even if a host has its name, and asks with the permissions of a viewer. */
export const viewerInboxPrefix = (name: string): string => `${inboxPrefix(name)}.viewer`;

/**
 * The prefix of the subjects to which JetStream delivers to a user, separate from its inboxes: the creator of a consumer chooses the
 * subject of its deliveries, so a delivery is never taken for a reply.
 */
const deliveryPrefix = (user: string): string => `_DELIVER.${user}`;

/** The same for a connection. Its inbox prefix names its user; without one, its user is its host. */
export const deliveryPrefixOf = (inboxes: string | undefined, host: string | undefined): string =>
  deliveryPrefix(/^_INBOX\.([A-Za-z0-9_-]+)(?:\.viewer)?$/.exec(inboxes ?? '')?.[1] ?? host ?? 'nobody');

const any = '*';
const digestVerbs = ['start', 'status', 'abort'] as const;
/** To check JetStream and list its buckets, without their contents. */
const listing = (api: string): string[] => [`${api}.INFO`, `${api}.STREAM.INFO.*`, `${api}.STREAM.NAMES`];
/** To read a bucket from its leader; the server sends the entries only as replies. */
const reading = (bucket: string): string => `$JS.API.STREAM.MSG.GET.KV_${bucket}`;

/** To read the policies of all hosts, and the host's own events through the consumer with its name. */
const triggers = (host: string): string[] => [
  reading(policiesBucket),
  `$JS.API.CONSUMER.INFO.${eventsStream}.${host}`,
  `$JS.API.CONSUMER.CREATE.${eventsStream}.${host}.${subjects.snapshotCreated(host)}`,
  `$JS.API.CONSUMER.MSG.NEXT.${eventsStream}.${host}`,
  // both forms of an acknowledgement; newer servers use the longer one
  `$JS.ACK.${eventsStream}.${host}.>`,
  `$JS.ACK.*.*.${eventsStream}.${host}.>`,
];

const store = (source: string): string => `OBJ_${streamsBucket(source)}`;

/**
 * To read a source's whole store: objects are read by consumers. A consumer can deliver to any subject, but its messages keep the stored
 * subject, which services ignore. Only `DIRECT.GET` would change the subject, and no user may use it.
 */
const fetching = (source: string, api = '$JS.API'): string[] => [
  `${api}.STREAM.MSG.GET.${store(source)}`,
  `${api}.CONSUMER.CREATE.${store(source)}.>`,
  `${api}.CONSUMER.INFO.${store(source)}.*`,
  `${api}.CONSUMER.DELETE.${store(source)}.*`,
  `$JS.FC.${store(source)}.>`,
];

/** The same in another JetStream domain, where it also writes delivery receipts. */
const fetchingAt = (domain: string, host: string, from: readonly string[]): string[] => {
  const api = `$JS.${domain}.API`;
  return [
    ...listing(api),
    `${api}.STREAM.MSG.GET.KV_${statusBucket}`,
    `${api}.${keySubject(statusBucket, receiptKeys(host, any))}`,
    ...from.flatMap((source) => fetching(source, api)),
  ];
};

/** To write to its own store, and delete from it. */
const storing = (source: string): string[] => [
  `$O.${streamsBucket(source)}.>`,
  `$JS.API.STREAM.PURGE.${store(source)}`,
  ...fetching(source),
];

/**
 * Exactly the permissions that one host needs. It publishes data only as itself, receives only for itself, and takes locks only of its
 * own datasets: the subject has the identity, and the server enforces it. Its requests change nothing on another host without that host's
 * `receive.allow`. It creates no buckets: an administrator does.
 */
export function permissionsOf(host: string, { sender, receiver, from = [], orders = [], domain }: Roles): Permissions {
  return {
    publish: [
      // the events of its services, and requests to them
      `zfs.${host}.>`,
      // replies to any host. Not by allow_responses, which lets a host publish to any subject that its request names
      '_INBOX.>',
      subjects.info(any),
      subjects.snapshotsFrom(any, host),
      ...digestVerbs.map((verb) => subjects.digestFrom(any, verb, host)),
      ...orders.map((source) => subjects.sendFrom(source, host)),
      '$SRV.>',
      // to find out its account
      '$SYS.REQ.USER.INFO',
      ...listing('$JS.API'),
      reading(locksBucket),
      reading(statusBucket),
      // the machines of all host names to read, its own to write
      reading(hostsBucket),
      keySubject(hostsBucket, host),
      ...(sender
        ? [
            subjects.receiveFrom(any, host),
            subjects.receiveCheckFrom(any, host),
            `zfs-data.${host}.>`,
            keySubject(statusBucket, statusKeys(host, any)),
            ...triggers(host),
            ...storing(host),
          ]
        : []),
      ...(receiver
        ? [
            subjects.credit(any, any, host),
            `$KV.${locksBucket}.${host}.>`,
            keySubject(statusBucket, receiptKeys(host, any)),
            ...(domain === undefined ? from.flatMap((source) => fetching(source)) : fetchingAt(domain, host, from)),
          ]
        : []),
    ],
    subscribe: [
      `zfs.${host}.>`,
      `${inboxPrefix(host)}.>`,
      `${deliveryPrefix(host)}.>`,
      '$SRV.>',
      keySubject(hostsBucket, host),
      ...(sender ? [`zfs-credit.${host}.>`, `$KV.${policiesBucket}.>`] : []),
      ...(receiver ? [subjects.data(any, host, any), ...from.map((source) => subjects.shared(source, any))] : []),
    ],
  };
}

/** A user who only reads: status, locks, policies, host names, the info and inventory of each host, and the events of jobs. */
export const viewerPermissions = (name: string): Permissions => ({
  publish: [
    subjects.info(any),
    subjects.snapshots(any),
    '$SRV.>',
    ...listing('$JS.API'),
    ...[locksBucket, statusBucket, hostsBucket, policiesBucket].map(reading),
  ],
  subscribe: [
    `${viewerInboxPrefix(name)}.>`,
    `${deliveryPrefix(name)}.>`,
    subjects.event(any, 'job', any),
    subjects.event(any, 'recv', any),
  ],
});

/** Administrators start jobs on every host, and have every stream and bucket. */
export const adminPermissions = (names: readonly string[]): Permissions => ({
  publish: [
    ...endpointsOf(any),
    subjects.snapshotCreated(any),
    '$SRV.>',
    '$JS.API.>',
    '$JS.ACK.>',
    '$JS.FC.>',
    '$KV.>',
    '$O.>',
  ],
  subscribe: [
    ...names.flatMap((name) => [`${inboxPrefix(name)}.>`, `${deliveryPrefix(name)}.>`]),
    subjects.event(any, 'job', any),
    subjects.event(any, 'recv', any),
    subjects.snapshotCreated(any),
  ],
});

/** The subjects that JetStream subscribes to and publishes: stored entries, and deliveries to the creator of a consumer. */
export const jetStreamPermissions: Permissions = {
  publish: ['$KV.>', '_DELIVER.>'],
  subscribe: ['$JS.API.>', '$JS.ACK.>', '$JS.FC.>', '$KV.>', '$O.>', subjects.snapshotCreated(any)],
};
