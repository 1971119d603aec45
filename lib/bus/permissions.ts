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

/** What a NATS user may do, as nats-server's `permissions` has it (docs.nats.io, "Authorization"). */
export interface Permissions {
  readonly publish: readonly string[];
  readonly subscribe: readonly string[];
}

export interface Roles {
  readonly sender: boolean;
  readonly receiver: boolean;
  /** Hosts that it may order to send, as far as their `send.allow` lets it. */
  readonly orders?: readonly string[];
  /** Hosts whose stored streams it fetches, and whose shared streams it hears, as a receiver. */
  readonly from?: readonly string[];
  /** The JetStream domain of those stores, where it is not that of the host's own server. */
  readonly domain?: string | undefined;
}

/** Where a host's answers come, so that no other host can read them. Below `_INBOX.`, where every host may publish its answers. */
export const inboxPrefix = (host: string): string => `_INBOX.${host}`;

/** The same of a viewer, who is no host although the machine may bear that name: it asks as a viewer may, not as a host. */
export const viewerInboxPrefix = (name: string): string => `${inboxPrefix(name)}.viewer`;

/**
 * Where JetStream delivers to a user, besides the inboxes of its requests: the maker of a consumer chooses the subject of its
 * deliveries, and an answer is never among them.
 */
const deliveryPrefix = (user: string): string => `_DELIVER.${user}`;

/** The same of a connection: its user has the name that its inboxes have, else that of its host. */
export const deliveriesOf = (inboxes: string | undefined, host: string | undefined): string =>
  deliveryPrefix(/^_INBOX\.([A-Za-z0-9_-]+)(?:\.viewer)?$/.exec(inboxes ?? '')?.[1] ?? host ?? 'nobody');

const any = '*';
const digestVerbs = ['start', 'status', 'abort'] as const;
/** Is there a JetStream, and which buckets has it; not what is in them. */
const looking = (api: string): string[] => [`${api}.INFO`, `${api}.STREAM.INFO.*`, `${api}.STREAM.NAMES`];
/** What reads a bucket from its leader, and makes the server send nothing elsewhere than in answer. */
const reading = (bucket: string): string => `$JS.API.STREAM.MSG.GET.KV_${bucket}`;

/** To read the policies of all hosts, and its own events through the one consumer that has its name. */
const triggers = (host: string): string[] => [
  reading(policiesBucket),
  `$JS.API.CONSUMER.INFO.${eventsStream}.${host}`,
  `$JS.API.CONSUMER.CREATE.${eventsStream}.${host}.${subjects.snapshotCreated(host)}`,
  `$JS.API.CONSUMER.MSG.NEXT.${eventsStream}.${host}`,
  // both forms of an acknowledgement, of which newer servers use the longer one
  `$JS.ACK.${eventsStream}.${host}.>`,
  `$JS.ACK.*.*.${eventsStream}.${host}.>`,
];

const store = (source: string): string => `OBJ_${streamsBucket(source)}`;

/**
 * To read what a source keeps for those who are away, all of it: objects are read by consumers. A consumer can deliver anywhere, but
 * under the subject that is stored, in which services do nothing; what would come under another subject is `DIRECT.GET`, which no user may.
 */
const fetching = (source: string, api = '$JS.API'): string[] => [
  `${api}.STREAM.MSG.GET.${store(source)}`,
  `${api}.CONSUMER.CREATE.${store(source)}.>`,
  `${api}.CONSUMER.INFO.${store(source)}.*`,
  `${api}.CONSUMER.DELETE.${store(source)}.*`,
  `$JS.FC.${store(source)}.>`,
];

/** The same in another JetStream domain, where it also reports what became of it. */
const fetchingAt = (domain: string, host: string, from: readonly string[]): string[] => {
  const api = `$JS.${domain}.API`;
  return [
    ...looking(api),
    `${api}.STREAM.MSG.GET.KV_${statusBucket}`,
    `${api}.${keySubject(statusBucket, receiptKeys(host, any))}`,
    ...from.flatMap((source) => fetching(source, api)),
  ];
};

/** To write to its own store, and remove from it. */
const storing = (source: string): string[] => [
  `$O.${streamsBucket(source)}.>`,
  `$JS.API.STREAM.PURGE.${store(source)}`,
  ...fetching(source),
];

/**
 * Exactly what one host needs for its part. It publishes data as itself only, receives for itself only, and takes locks of its own
 * datasets only (design: identity is in the subject, and the server holds it). What it may ask of others changes nothing there without
 * that host's own `receive.allow`. It makes no buckets: an administrator does.
 */
export function permissionsOf(host: string, { sender, receiver, from = [], orders = [], domain }: Roles): Permissions {
  return {
    publish: [
      // its own services' events, and requests to them
      `zfs.${host}.>`,
      // answers, to any asker. Not by allow_responses: it lets a host publish to any subject that its own request names
      '_INBOX.>',
      subjects.info(any),
      subjects.snapshotsFrom(any, host),
      ...digestVerbs.map((verb) => subjects.digestFrom(any, verb, host)),
      ...orders.map((source) => subjects.sendFrom(source, host)),
      '$SRV.>',
      // in which account it is itself
      '$SYS.REQ.USER.INFO',
      ...looking('$JS.API'),
      reading(locksBucket),
      reading(statusBucket),
      // which machine has which host name: those of all to read, its own to write
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

/** One who only looks: status, locks, policies, host names, what each host has and is, and the events of jobs. */
export const viewerPermissions = (name: string): Permissions => ({
  publish: [
    subjects.info(any),
    subjects.snapshots(any),
    '$SRV.>',
    ...looking('$JS.API'),
    ...[locksBucket, statusBucket, hostsBucket, policiesBucket].map(reading),
  ],
  subscribe: [
    `${viewerInboxPrefix(name)}.>`,
    `${deliveryPrefix(name)}.>`,
    subjects.event(any, 'job', any),
    subjects.event(any, 'recv', any),
  ],
});

/** Those who give every host orders, and have every stream and bucket. */
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

/** What JetStream subscribes to, and what it publishes: entries as they are stored, and deliveries to the maker of a consumer. */
export const jetStreamPermissions: Permissions = {
  publish: ['$KV.>', '_DELIVER.>'],
  subscribe: ['$JS.API.>', '$JS.ACK.>', '$JS.FC.>', '$KV.>', '$O.>', subjects.snapshotCreated(any)],
};
