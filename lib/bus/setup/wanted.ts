import type { BucketBounds } from '../../../schemas/fleet.ts';
import { eventsConfig } from '../events/snapshot-events.ts';
import { keepsEntries, keepsEntriesFlags } from '../jetstream/kv-bucket.ts';
import {
  hostsBucket,
  locksBucket,
  policiesBucket,
  statusBucket,
  statusDescription,
  streamsBucket,
} from '../subjects.ts';

/** A stream of JetStream, as zpsend needs it. Sizes are bytes, times nanoseconds; what is not named is the server's default. */
export interface WantedStream {
  /** As `nats` calls it: a KV bucket, an object store, or a stream. */
  readonly kind: 'kv' | 'object' | 'stream';
  /** Without the prefix that its kind has in the stream's name. */
  readonly called: string;
  readonly config: StreamShape;
}

export interface StreamShape {
  readonly name: string;
  readonly description: string;
  readonly subjects: readonly string[];
  readonly storage: 'file';
  readonly retention: 'limits';
  readonly discard: 'new' | 'old';
  readonly max_msgs_per_subject: number;
  readonly max_age: number;
  readonly max_bytes: number;
  readonly max_msg_size: number;
  readonly num_replicas: number;
  readonly allow_rollup_hdrs: boolean;
  readonly deny_delete: boolean;
  readonly deny_purge?: boolean;
  readonly allow_direct: boolean;
}

const second = 1e9;
const common = { storage: 'file', retention: 'limits', allow_direct: true } as const;

type KvShape = Pick<StreamShape, 'description' | 'max_msgs_per_subject' | 'max_age'> & Partial<typeof keepsEntries>;

/** A KV bucket, as ADR-8 has it. */
const kv = (called: string, bounds: BucketBounds, num_replicas: number, shape: KvShape): WantedStream => ({
  kind: 'kv',
  called,
  config: {
    name: `KV_${called}`,
    subjects: [`$KV.${called}.>`],
    ...common,
    discard: 'new',
    max_bytes: bounds.maxBucketSize,
    max_msg_size: bounds.maxValueSize,
    num_replicas,
    allow_rollup_hdrs: true,
    deny_delete: true,
    ...shape,
  },
});

/** An object store, as ADR-20 has it. */
const objects = (source: string, bounds: BucketBounds, num_replicas: number): WantedStream => ({
  kind: 'object',
  called: streamsBucket(source),
  config: {
    name: `OBJ_${streamsBucket(source)}`,
    description: `zpsend: streams of ${source} that wait for their targets`,
    subjects: [`$O.${streamsBucket(source)}.C.>`, `$O.${streamsBucket(source)}.M.>`],
    ...common,
    discard: 'new',
    max_msgs_per_subject: -1,
    max_age: bounds.storeHours * 3600 * second,
    max_bytes: bounds.storeSize,
    max_msg_size: -1,
    num_replicas,
    allow_rollup_hdrs: true,
    deny_delete: false,
  },
});

/**
 * All buckets and streams of a fleet.
 * @param sources hosts that send
 * @param replicas copies of each
 */
export const wantedStreams = (bounds: BucketBounds, sources: readonly string[], replicas: number): WantedStream[] => [
  kv(locksBucket, bounds, replicas, {
    description: 'zpsend: who receives into which dataset',
    max_msgs_per_subject: 1,
    max_age: bounds.lockSeconds * second,
    ...keepsEntries,
  }),
  kv(statusBucket, bounds, replicas, { description: statusDescription, max_msgs_per_subject: 1, max_age: 0 }),
  kv(hostsBucket, bounds, replicas, {
    description: 'zpsend: which machine has which host name',
    max_msgs_per_subject: 1,
    max_age: 0,
  }),
  kv(policiesBucket, bounds, replicas, {
    description: 'zpsend: which dataset goes where',
    max_msgs_per_subject: 8,
    max_age: 0,
  }),
  {
    kind: 'stream',
    called: eventsConfig.name,
    config: {
      ...eventsConfig,
      ...common,
      discard: 'old',
      allow_direct: false,
      num_replicas: replicas,
      allow_rollup_hdrs: false,
      deny_delete: false,
    },
  },
  ...sources.map((source) => objects(source, bounds, replicas)),
];

/** What of a stream that is there is not as wanted. */
export interface Difference {
  readonly field: keyof StreamShape;
  readonly found: unknown;
  readonly wanted: unknown;
  /** Would it hold less than now? */
  readonly narrows: boolean;
}

const limits = ['max_bytes', 'max_msg_size', 'max_age', 'max_msgs_per_subject'] as const;

/** As the server has it, no limit is 0 or -1. */
const limitOf = (value: unknown): number => (typeof value === 'number' && value > 0 ? value : Number.POSITIVE_INFINITY);

/** Only where none may be taken away: a bucket that denies more than is wanted cannot be changed back. */
function denialsIn(wanted: StreamShape, found: Partial<Record<keyof StreamShape, unknown>>): Difference[] {
  if (!wanted.deny_purge) return [];
  return (['allow_rollup_hdrs', 'deny_delete', 'deny_purge'] as const).flatMap((field): Difference[] => {
    const is = found[field] === true;
    return is === wanted[field] ? [] : [{ field, found: is, wanted: wanted[field], narrows: false }];
  });
}

/** What may differ: limits, copies, what may be taken away, and what becomes of a full one. */
export function differencesOf(wanted: StreamShape, found: Partial<Record<keyof StreamShape, unknown>>): Difference[] {
  const bounds = limits.flatMap((field): Difference[] => {
    const [is, shall] = [limitOf(found[field]), limitOf(wanted[field])];
    return is === shall ? [] : [{ field, found: found[field], wanted: wanted[field], narrows: shall < is }];
  });
  const others = (['num_replicas', 'discard', 'subjects'] as const).flatMap((field): Difference[] => {
    const isSame = JSON.stringify(found[field]) === JSON.stringify(wanted[field]);
    const narrows = field === 'num_replicas' && Number(found[field]) > Number(wanted[field]);
    return isSame ? [] : [{ field, found: found[field], wanted: wanted[field], narrows }];
  });
  return [...bounds, ...others, ...denialsIn(wanted, found)];
}

const seconds = (nanoseconds: number): string => `${nanoseconds / second}s`;
const flag = (name: string, value: string | number | undefined): string[] =>
  value === undefined || value === 0 || value === -1 ? [] : [`--${name} ${value}`];

/** The command of the `nats` CLI that makes it. */
export function natsCommand({ kind, called, config }: WantedStream): string {
  const ttl = config.max_age > 0 ? seconds(config.max_age) : undefined;
  const description = `--description '${config.description}'`;
  if (kind === 'stream') {
    return [
      `nats stream add ${called} --subjects '${config.subjects.join(',')}' --defaults`,
      `--discard ${config.discard}`,
      ...flag('max-age', ttl),
      ...flag('max-bytes', config.max_bytes),
      ...flag('max-msgs-per-subject', config.max_msgs_per_subject),
      ...flag('max-msg-size', config.max_msg_size),
      ...flag('replicas', config.num_replicas),
      description,
    ].join(' ');
  }
  if (config.deny_purge) {
    return [
      `nats stream add ${config.name} ${keepsEntriesFlags(called)}`,
      ...flag('max-msgs-per-subject', config.max_msgs_per_subject),
      ...flag('max-age', ttl),
      ...flag('max-msg-size', config.max_msg_size),
      ...flag('max-bytes', config.max_bytes),
      ...flag('replicas', config.num_replicas),
      description,
    ].join(' ');
  }
  return [
    `nats ${kind} add ${called}`,
    ...(kind === 'kv' ? flag('history', config.max_msgs_per_subject) : []),
    ...flag('ttl', ttl),
    ...flag('max-value-size', config.max_msg_size),
    ...flag('max-bucket-size', config.max_bytes),
    ...flag('replicas', config.num_replicas),
    description,
  ].join(' ');
}
