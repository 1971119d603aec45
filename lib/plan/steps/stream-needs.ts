import type { Inventory } from '../../../schemas/inventory.ts';
import { poolOf } from '../../../schemas/names.ts';
import type { Note, Step } from '../../../schemas/plan.ts';
import type { StreamFeature } from '../../../schemas/stream.ts';
import type { DatasetPlans } from '../dataset-plan.ts';
import { type Refusal, refuse } from '../refusal.ts';
import type { JobContext } from '../request/job-context.ts';

/**
 * Bits of a stream's feature flags, each with the pool feature that has to be enabled on the target
 * (`recv_begin_check_feature_flags_impl` of dmu_recv.c; the flags are in zfs_ioctl.h).
 */
const flagBits: readonly [bit: bigint, feature: StreamFeature][] = [
  [16n, 'embedded_data'],
  [17n, 'lz4_compress'],
  [19n, 'large_blocks'],
  [21n, 'redacted_datasets'],
  [23n, 'large_dnode'],
  [24n, 'encryption'],
  [25n, 'zstd_compress'],
  [28n, 'longname'],
  [29n, 'large_microzap'],
];

const magic = 0x2f5bacbacn;
/** The bytes of a stream's first record up to its feature flags (`dmu_replay_record_t`). */
export const beginningBytes = 24;

/** The pool features that a stream needs, from its first bytes; undefined if they are not the beginning of a stream. */
export function featuresNeeded(beginning: Buffer): StreamFeature[] | undefined {
  if (beginning.length < beginningBytes) return undefined;
  const isLittle = beginning.readBigUInt64LE(8) === magic;
  if (!isLittle && beginning.readBigUInt64BE(8) !== magic) return undefined;
  // the two lowest bits are the kind of header
  const flags = (isLittle ? beginning.readBigUInt64LE(16) : beginning.readBigUInt64BE(16)) >> 2n;
  return flagBits.filter(([bit]) => (flags & (1n << bit)) !== 0n).map(([, feature]) => feature);
}

/** Features that only streams with one of these flags need; every stream of a dataset that uses another feature needs it. */
const onlyWithFlags: Partial<Record<StreamFeature, readonly NonNullable<Step['flags']>[number][]>> = {
  encryption: ['raw'],
  embedded_data: ['raw', 'embed'],
  lz4_compress: ['raw', 'embed', 'compressed'],
  zstd_compress: ['raw', 'compressed'],
  large_blocks: ['raw', 'large-block'],
};

/** Features that are active in the source's pool, that the target's pool lacks, and that the streams of these steps may need. */
export function lackingFeatures(
  context: JobContext,
  source: Pick<Inventory, 'active'>,
  target: Pick<Inventory, 'features'>,
  steps: readonly Step[],
): StreamFeature[] {
  const active = source.active?.[poolOf(context.sourceDataset)] ?? [];
  const there = target.features?.[poolOf(context.targetDataset)];
  if (!there) return [];
  const flags = new Set(steps.flatMap((step) => step.flags ?? []));
  return active.filter(
    (feature) => !there.includes(feature) && (onlyWithFlags[feature]?.some((flag) => flags.has(flag)) ?? true),
  );
}

/** Notes features because of which the target may refuse a stream: only the pool is known to use them, not which dataset. */
export function withFeatureNote(
  plans: DatasetPlans,
  context: JobContext,
  source: Inventory,
  target: Inventory,
): DatasetPlans {
  const lacking = lackingFeatures(
    context,
    source,
    target,
    plans.datasets.flatMap(({ steps }) => steps),
  );
  if (lacking.length === 0) return plans;
  const [from, to] = [poolOf(context.sourceDataset), poolOf(context.targetDataset)];
  const message =
    `pool ${from} on ${source.host} uses ${lacking.join(', ')}, which pool ${to} on ${target.host} has not enabled: it refuses a stream that ` +
    `needs it as UNSUPPORTED (to fix: ${enabling(lacking, to)})`;
  return { ...plans, notes: [...plans.notes, { kind: 'features', dataset: context.sourceDataset, message }] };
}

export const isFeatureNote = ({ kind }: Note): boolean => kind === 'features';

/** Refuses a stream that the target's pool cannot receive. */
export const streamRefusal = (step: Step, lacking: readonly StreamFeature[], host: string): Refusal => {
  const pool = poolOf(step.targetDataset);
  return refuse(
    'UNSUPPORTED',
    `The stream of ${step.to.name} needs ${lacking.join(', ')}, which pool ${pool} on ${host} has not enabled. ` +
      `To fix: ${enabling(lacking, pool)} there, if its release of ZFS supports it; ${plainer(step, lacking)}or send to another pool.`,
    { details: { host, dataset: step.targetDataset, pool, features: [...lacking] } },
  );
};

const enabling = (features: readonly StreamFeature[], pool: string): string =>
  features.map((feature) => `zpool set feature@${feature}=enabled ${pool}`).join('; ');

const plainFlag: Partial<Record<StreamFeature, string>> = {
  zstd_compress: '--no-compressed',
  lz4_compress: '--no-compressed',
  large_blocks: '--no-large-block',
  embedded_data: '--no-embed',
};

/** The flags for a stream that needs none of these features, if that is possible. */
function plainer({ flags }: Step, lacking: readonly StreamFeature[]): string {
  const plain = lacking.map((feature) => plainFlag[feature]);
  const isPossible = !flags?.includes('raw') && plain.every((flag) => flag !== undefined);
  return isPossible ? `send with ${[...new Set(plain)].join(' ')}; ` : '';
}
