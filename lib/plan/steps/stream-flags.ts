import type { DatasetEntry, Inventory } from '../../../schemas/inventory.ts';
import { poolOf } from '../../../schemas/names.ts';
import type { Note, Step } from '../../../schemas/plan.ts';
import type { StreamFeature, StreamFlag, StreamWish } from '../../../schemas/stream.ts';
import { lockedOut } from '../placement/keys.ts';
import { type Refusal, refuse } from '../refusal.ts';
import { type ChainFlags, initialFlagsOf, initialFlagsOfOrigin, markOf } from './initial-flags.ts';

/** A dataset whose stream flags are chosen. */
export interface Streamed {
  /** The target's name for it. */
  targetDataset: string;
  source: { host: string; dataset: DatasetEntry };
  /** The target's dataset of that name. */
  existing: DatasetEntry | undefined;
  /** The target's snapshot of which it becomes a clone. */
  origin: string | undefined;
}

/** The flags of all steps of a dataset; `record` is the mark of a new chain, for its first step. */
export interface Streams {
  flags: StreamFlag[];
  record?: string;
  note?: Note;
}

/**
 * Chooses flags for each dataset; a clone gets those of its origin's chain, which may be part of the plan. A chain keeps its initial
 * flags: raw and plain streams cannot be mixed (openzfs#12014), and toggling `-L` has zeroed files (openzfs#6224).
 */
export function streamsTo(target: Inventory, wish: StreamWish): (streamed: Streamed) => Streams | Refusal {
  const planned = new Map<string, ChainFlags>();
  const { host } = target;

  function initialOf({ source, existing, origin }: Streamed): ChainFlags | undefined {
    if (existing?.snapshots.length) return initialFlagsOf(source.dataset, existing);
    if (origin === undefined) return undefined;
    return planned.get(origin.split('@', 1)[0] ?? '') ?? initialFlagsOfOrigin(source.dataset, origin, target);
  }

  return (streamed) => {
    const { targetDataset, source, existing } = streamed;
    const pool = poolOf(targetDataset);
    const features = target.features?.[pool];
    const known = { source, host, pool, wish, initial: initialOf(streamed), features };
    const raw = rawness(known);
    if (typeof raw !== 'boolean') return raw;
    const flags = raw ? rawFlags(known) : plainFlags(known);
    if (!Array.isArray(flags)) return flags;
    const refusal = raw ? undefined : lockedOut(source.dataset, existing, source.host, host);
    if (refusal) return refusal;
    const noted = raw ? {} : unknownBeginning(known, flags);
    if (existing?.snapshots.length) return { flags, ...noted };
    planned.set(targetDataset, { targetDataset, raw, flags });
    return { flags, record: markOf(source.dataset.guid, flags), ...noted };
  };
}

/**
 * The flags of one step. A step that makes a clone has no properties: with them, ZFS ignores the given origin and uses any snapshot of
 * the pool with its guid (contract/stream-flags.test.ts). The steps after it have them.
 */
export const flagsOf = ({ origin }: Step, flags: readonly StreamFlag[]): StreamFlag[] =>
  origin === undefined ? [...flags] : flags.filter((flag) => flag !== 'props');

interface Known {
  source: Streamed['source'];
  host: string;
  pool: string;
  wish: StreamWish;
  initial: ChainFlags | undefined;
  features: readonly StreamFeature[] | undefined;
}

/** Encrypted datasets are sent raw, unless their chain is not, or the request says otherwise. */
function rawness({ source: { host: from, dataset }, host, pool, wish, initial, features }: Known): boolean | Refusal {
  if (dataset.encryption === 'off') return false;
  const raw = wish.raw ?? initial?.raw ?? true;
  if (initial?.raw !== undefined && initial.raw !== raw) {
    const [is, asked, flag] = raw ? ['not raw', 'raw', '--raw'] : ['raw', 'not raw', '--no-raw'];
    return refuse(
      'UNSUPPORTED',
      `${dataset.name} on ${from} cannot be sent ${asked}, because ${initial.targetDataset} on ${host} was received ${is}, and ` +
        `the two cannot be mixed. To fix: omit ${flag}, or send it under another name.`,
      { details: { host, dataset: initial.targetDataset } },
    );
  }
  if (raw && features && !features.includes('encryption')) {
    return refuse(
      'UNSUPPORTED',
      `${dataset.name} on ${from} is encrypted, but the pool ${pool} on ${host} has no encryption. To fix: ` +
        `zpool set feature@encryption=enabled ${pool} there, or send it unencrypted (--no-raw).`,
      { details: { host, pool } },
    );
  }
  return raw;
}

/** Notes that the request adds large blocks to a chain with unknown initial flags. */
function unknownBeginning(
  { source: { dataset }, host, initial }: Known,
  flags: readonly StreamFlag[],
): { note?: Note } {
  if (!initial || initial.flags || !flags.includes('large-block')) return {};
  const message =
    `${dataset.name} is sent with --large-block, but it is unknown whether ${initial.targetDataset} on ${host} started with large blocks: if not, ` +
    'OpenZFS 2.1 can zero files there (openzfs#6224). Omit --large-block unless the first stream had it (zfs send -L).';
  return { note: { kind: 'unknown-beginning', dataset: dataset.name, message } };
}

/** The flags that raw implies (zfs-send(8), `-w`), so they cannot be turned off. */
const implied = [
  ['largeBlock', '--no-large-block'],
  ['embed', '--no-embed'],
  ['compressed', '--no-compressed'],
] as const;

function rawFlags({ source: { host, dataset }, wish }: Known): StreamFlag[] | Refusal {
  const unwanted = implied.find(([part]) => wish[part] === false);
  if (unwanted) {
    return refuse(
      'BAD_REQUEST',
      `${dataset.name} on ${host} is encrypted and sent raw, as it is on disk, so ${unwanted[1]} has no effect. ` +
        `To fix: omit it, or add --no-raw.`,
    );
  }
  return wish.props ? ['raw', 'props'] : ['raw'];
}

/** The pool feature that each requested flag needs, even if the dataset does not use it now: a later step may. */
const needed = [
  ['largeBlock', '--large-block', 'large_blocks'],
  ['embed', '--embed', 'embedded_data'],
  ['compressed', '--compressed', 'lz4_compress'],
] as const;

/** Refuses a requested flag that the target's pool cannot receive. By default zpsend chooses only flags that it can. */
function lackingFeature({ source: { host: from, dataset }, host, pool, wish, features }: Known): Refusal | undefined {
  const lacking = needed.find(([part, , feature]) => {
    // an encrypted dataset has no embedded data
    const isIdle = part === 'embed' && dataset.encryption !== 'off';
    return wish[part] && !isIdle && features && !features.includes(feature);
  });
  if (!lacking) return undefined;
  const [, flag, feature] = lacking;
  return refuse(
    'UNSUPPORTED',
    `${dataset.name} on ${from} cannot be sent with ${flag}: pool ${pool} on ${host} lacks the feature ${feature}. ` +
      `To fix: omit ${flag}, or upgrade that pool (zpool set feature@${feature}=enabled ${pool}).`,
    { details: { host, pool } },
  );
}

function plainFlags(known: Known): StreamFlag[] | Refusal {
  const { source, host, wish, initial, features } = known;
  const { host: from, dataset } = source;
  if (wish.props && dataset.encryption !== 'off') {
    return refuse(
      'BAD_REQUEST',
      `${dataset.name} on ${from} is encrypted, and zfs sends its properties (-p) only with a raw stream. To fix: omit -p, or --no-raw.`,
    );
  }
  const lacking = lackingFeature(known);
  if (lacking) return lacking;
  const can = (...wanted: StreamFeature[]): boolean => wanted.every((feature) => features?.includes(feature));
  const had = (flag: StreamFlag): boolean | undefined => initial?.flags?.includes(flag);
  // a chain with unknown initial flags continues without large blocks
  const largeBlock = wish.largeBlock ?? (initial ? had('large-block') : can('large_blocks')) ?? false;
  if (initial?.flags && largeBlock !== had('large-block')) {
    const [began, flag] = largeBlock ? ['without it', '--large-block'] : ['with large blocks', '--no-large-block'];
    const which = initial.returns
      ? `${dataset.name} was received from ${host}`
      : `the first stream of ${initial.targetDataset} on ${host} was sent`;
    return refuse(
      'UNSUPPORTED',
      `${dataset.name} on ${from} cannot be sent with ${flag}: ${which} ${began}, and a change within a chain can ` +
        `zero files (openzfs#6224). To fix: omit ${flag}, or send it under another name.`,
      { details: { host, dataset: initial.targetDataset } },
    );
  }
  const compressed = wish.compressed ?? had('compressed') ?? can('lz4_compress', 'zstd_compress');
  const chosen: [StreamFlag, boolean | undefined][] = [
    ['large-block', largeBlock],
    // only on request: on some releases it loses the spill blocks of long symlinks and attributes (openzfs#18239)
    ['embed', wish.embed],
    ['compressed', compressed],
    ['props', wish.props],
  ];
  return chosen.filter(([, is]) => is).map(([flag]) => flag);
}
