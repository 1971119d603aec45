import type { Inventory } from '../../../schemas/inventory.ts';
import { datasetOf, poolOf } from '../../../schemas/names.ts';
import type { Note, SendRequest, Step } from '../../../schemas/plan.ts';
import type { StreamFeature } from '../../../schemas/stream.ts';
import type { DatasetPlans } from '../dataset-plan.ts';
import { type Refusal, refuse } from '../refusal.ts';
import { targetRoot } from '../request/target-name.ts';

/**
 * Bits of a stream's feature flags and the pool feature that each needs where it is received, enabled at least
 * (`recv_begin_check_feature_flags_impl` of dmu_recv.c; the flags of zfs_ioctl.h).
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
/** Bytes of a stream's first record that tell its features (`dmu_replay_record_t`). */
export const beginningBytes = 24;

/** The pool features that a stream needs, told by its first bytes; undefined where they are not the beginning of a stream. */
export function featuresNeeded(beginning: Buffer): StreamFeature[] | undefined {
  if (beginning.length < beginningBytes) return undefined;
  const isLittle = beginning.readBigUInt64LE(8) === magic;
  if (!isLittle && beginning.readBigUInt64BE(8) !== magic) return undefined;
  // below the flags stand two bits for the kind of header
  const flags = (isLittle ? beginning.readBigUInt64LE(16) : beginning.readBigUInt64BE(16)) >> 2n;
  return flagBits.filter(([bit]) => (flags & (1n << bit)) !== 0n).map(([, feature]) => feature);
}

/** Features that only streams with some flag need; the others are in every stream of a dataset that uses them. */
const bySome: Partial<Record<StreamFeature, readonly NonNullable<Step['flags']>[number][]>> = {
  encryption: ['raw'],
  embedded_data: ['raw', 'embed'],
  lz4_compress: ['raw', 'embed', 'compressed'],
  zstd_compress: ['raw', 'compressed'],
  large_blocks: ['raw', 'large-block'],
};

/** What something in the source's pool uses and the target's pool lacks, as far as the streams of these steps may need it. */
export function lackingFeatures(
  request: SendRequest,
  source: Pick<Inventory, 'active'>,
  target: Pick<Inventory, 'features'>,
  steps: readonly Step[],
): StreamFeature[] {
  const active = source.active?.[poolOf(request.dataset)] ?? [];
  const there = target.features?.[poolOf(targetRoot(request))];
  if (!there) return [];
  const flags = new Set(steps.flatMap((step) => step.flags ?? []));
  return active.filter(
    (feature) => !there.includes(feature) && (bySome[feature]?.some((flag) => flags.has(flag)) ?? true),
  );
}

/** Says which features may be why the target refuses a stream: that the pool uses them does not tell which dataset does. */
export function withFeatureNote(
  plans: DatasetPlans,
  request: SendRequest,
  source: Inventory,
  target: Inventory,
): DatasetPlans {
  const lacking = lackingFeatures(
    request,
    source,
    target,
    plans.datasets.flatMap(({ steps }) => steps),
  );
  if (lacking.length === 0) return plans;
  const [from, to] = [poolOf(request.dataset), poolOf(targetRoot(request))];
  const message =
    `pool ${from} on ${source.host} uses ${lacking.join(', ')}, which pool ${to} on ${target.host} has not enabled: a stream that ` +
    `needs it is refused there as UNSUPPORTED (${enabling(lacking, to)})`;
  return { ...plans, notes: [...plans.notes, { kind: 'features', dataset: datasetOf(request.dataset), message }] };
}

export const isFeatureNote = ({ kind }: Note): boolean => kind === 'features';

/** A stream that the target's pool cannot take. */
export const streamRefusal = (step: Step, lacking: readonly StreamFeature[], host: string): Refusal => {
  const pool = poolOf(step.targetDataset);
  return refuse(
    'UNSUPPORTED',
    `The stream of ${step.to.name} needs ${lacking.join(', ')}, which pool ${pool} on ${host} has not enabled. ` +
      `Ways out: ${enabling(lacking, pool)} there, where its ZFS knows that; ${plainer(step, lacking)}another pool.`,
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

/** The flags that make a stream which needs none of these, where that is possible. */
function plainer({ flags }: Step, lacking: readonly StreamFeature[]): string {
  const ways = lacking.map((feature) => plainFlag[feature]);
  const isPossible = !flags?.includes('raw') && ways.every((way) => way !== undefined);
  return isPossible ? `${[...new Set(ways)].join(' ')}; ` : '';
}
