import { eventsStream, locksBucket, policiesBucket, subjects } from './subjects.ts';

/** What a NATS user may do, as nats-server's `permissions` has it (docs.nats.io, "Authorization"). */
export interface Permissions {
  readonly publish: readonly string[];
  readonly subscribe: readonly string[];
}

export interface Roles {
  readonly sender: boolean;
  readonly receiver: boolean;
}

/** Where a host's answers come, so that no other host can read them. */
export const inboxPrefix = (host: string): string => `_INBOX_${host}`;

const any = '*';
const stream = `KV_${locksBucket}`;
const policies = `KV_${policiesBucket}`;

/** To read the policies of all hosts, and its own events through the one consumer that has its name. */
const triggers = (host: string): string[] => [
  `$JS.API.STREAM.INFO.${policies}`,
  `$JS.API.STREAM.MSG.GET.${policies}`,
  `$JS.API.STREAM.INFO.${eventsStream}`,
  `$JS.API.CONSUMER.INFO.${eventsStream}.${host}`,
  `$JS.API.CONSUMER.CREATE.${eventsStream}.${host}.${subjects.snapshotCreated(host)}`,
  `$JS.API.CONSUMER.MSG.NEXT.${eventsStream}.${host}`,
  // both forms of an acknowledgement, of which newer servers use the longer one
  `$JS.ACK.${eventsStream}.${host}.>`,
  `$JS.ACK.*.*.${eventsStream}.${host}.>`,
];

/**
 * Exactly what one host needs for its part. It publishes data as itself only, receives for itself only, and takes locks of its own
 * datasets only (design: identity is in the subject, and the server holds it). What it may ask of others changes nothing there without
 * that host's own `receive.allow`. It makes no buckets: whoever sets up the servers does.
 */
export function permissionsOf(host: string, { sender, receiver }: Roles): Permissions {
  return {
    publish: [
      // its own services' events, and requests to them
      `zfs.${host}.>`,
      subjects.info(any),
      subjects.snapshots(any),
      `zfs.*.digest.>`,
      '$SRV.>',
      '$JS.API.INFO',
      `$JS.API.STREAM.INFO.${stream}`,
      `$JS.API.STREAM.MSG.GET.${stream}`,
      `$JS.API.DIRECT.GET.${stream}.>`,
      ...(sender ? [subjects.receive(any, 'start'), `zfs-data.${host}.>`, ...triggers(host)] : []),
      ...(receiver ? [subjects.credit(any, any, host), `$KV.${locksBucket}.${host}.>`] : []),
    ],
    subscribe: [
      `zfs.${host}.>`,
      `${inboxPrefix(host)}.>`,
      '$SRV.>',
      ...(sender ? [`zfs-credit.${host}.>`, `$KV.${policiesBucket}.>`] : []),
      ...(receiver ? [subjects.data(any, host, any), subjects.shared(any, any)] : []),
    ],
  };
}
