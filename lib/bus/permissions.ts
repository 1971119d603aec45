import { keySubject, locksBucket, receiptKeys, statusBucket, statusKeys, subjects } from './subjects.ts';

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
/** What reads a bucket from its leader, and makes the server send nothing elsewhere than in answer. */
const reading = (bucket: string): string => `$JS.API.STREAM.MSG.GET.KV_${bucket}`;

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
      // which buckets there are, and not what is in them
      '$JS.API.STREAM.INFO.*',
      '$JS.API.STREAM.NAMES',
      reading(locksBucket),
      reading(statusBucket),
      ...(sender
        ? [subjects.receiveFrom(any, host), `zfs-data.${host}.>`, keySubject(statusBucket, statusKeys(host, any))]
        : []),
      ...(receiver
        ? [
            subjects.credit(any, any, host),
            `$KV.${locksBucket}.${host}.>`,
            keySubject(statusBucket, receiptKeys(host, any)),
          ]
        : []),
    ],
    subscribe: [
      `zfs.${host}.>`,
      `${inboxPrefix(host)}.>`,
      '$SRV.>',
      ...(sender ? [`zfs-credit.${host}.>`] : []),
      ...(receiver ? [subjects.data(any, host, any), subjects.shared(any, any)] : []),
    ],
  };
}
