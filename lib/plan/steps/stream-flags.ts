import type { DatasetEntry, Inventory } from '../../../schemas/inventory.ts';
import { poolOf } from '../../../schemas/names.ts';
import type { Note, Step } from '../../../schemas/plan.ts';
import type { StreamFeature, StreamFlag, StreamWish } from '../../../schemas/stream.ts';
import { lockedOut } from '../placement/keys.ts';
import { type Refusal, refuse } from '../refusal.ts';
import { type ChainFlags, initialFlagsOf, initialFlagsOfOrigin, markOf } from './initial-flags.ts';

/** A dataset whose streams are to be. */
export interface Streamed {
  /** The target's name for it. */
  name: string;
  source: { host: string; dataset: DatasetEntry };
  /** What the target has under that name. */
  existing: DatasetEntry | undefined;
  /** The target's snapshot that it is made a clone of. */
  origin: string | undefined;
}

/** Flags of all steps of a dataset, and for the first one what its chain is remembered by, where it makes the dataset. */
export interface Streams {
  flags: StreamFlag[];
  record?: string;
  note?: Note;
}

/**
 * Chooses flags dataset by dataset; a clone takes those of its origin's chain, which may be one of the plan.
 * What a chain began with is kept: raw and plain do not mix (openzfs#12014), and toggling `-L` has zeroed files (openzfs#6224).
 */
export function streamsTo(target: Inventory, wish: StreamWish): (streamed: Streamed) => Streams | Refusal {
  const planned = new Map<string, ChainFlags>();
  const { host } = target;

  function begunOf({ source, existing, origin }: Streamed): ChainFlags | undefined {
    if (existing?.snapshots.length) return initialFlagsOf(source.dataset, existing);
    if (origin === undefined) return undefined;
    return planned.get(origin.split('@', 1)[0] ?? '') ?? initialFlagsOfOrigin(source.dataset, origin, target);
  }

  return (streamed) => {
    const { name, source, existing } = streamed;
    const pool = poolOf(name);
    const features = target.features?.[pool];
    const known = { source, host, pool, wish, begun: begunOf(streamed), features };
    const raw = rawness(known);
    if (typeof raw !== 'boolean') return raw;
    const flags = raw ? rawFlags(known) : plainFlags(known);
    if (!Array.isArray(flags)) return flags;
    const refusal = raw ? undefined : lockedOut(source.dataset, existing, source.host, host);
    if (refusal) return refusal;
    const told = raw ? {} : unknownBeginning(known, flags);
    if (existing?.snapshots.length) return { flags, ...told };
    planned.set(name, { dataset: name, raw, flags });
    return { flags, record: markOf(source.dataset.guid, flags), ...told };
  };
}

/**
 * A step's own flags. With properties, zfs takes for a clone any snapshot of the pool that has the guid, whatever origin it is
 * told (contract/stream-flags.test.ts): they come with the steps after it.
 */
export const flagsOf = ({ origin }: Step, flags: readonly StreamFlag[]): StreamFlag[] =>
  origin === undefined ? [...flags] : flags.filter((flag) => flag !== 'props');

interface Known {
  source: Streamed['source'];
  host: string;
  pool: string;
  wish: StreamWish;
  begun: ChainFlags | undefined;
  features: readonly StreamFeature[] | undefined;
}

/** Encrypted datasets are sent raw, unless their chain is not, or asked otherwise. */
function rawness({ source: { host: from, dataset }, host, pool, wish, begun, features }: Known): boolean | Refusal {
  if (dataset.encryption === 'off') return false;
  const raw = wish.raw ?? begun?.raw ?? true;
  if (begun?.raw !== undefined && begun.raw !== raw) {
    const [is, asked, flag] = raw ? ['not raw', 'raw', '--raw'] : ['raw', 'not raw', '--no-raw'];
    return refuse(
      'UNSUPPORTED',
      `${dataset.name} on ${from} cannot be sent ${asked}, since ${begun.dataset} on ${host} was received ${is}, and ` +
        `one does not follow the other. Ways out: leave ${flag} out, or send it under another name.`,
      { details: { host, dataset: begun.dataset } },
    );
  }
  if (raw && features && !features.includes('encryption')) {
    return refuse(
      'UNSUPPORTED',
      `${dataset.name} on ${from} is encrypted, and the pool ${pool} on ${host} has no encryption to keep it so. Ways out: ` +
        `zpool set feature@encryption=enabled ${pool}, or let it lie there unencrypted (--no-raw).`,
      { details: { host, pool } },
    );
  }
  return raw;
}

/** Large blocks that were asked for go on a chain that nobody remembers the beginning of. */
function unknownBeginning({ source: { dataset }, host, begun }: Known, flags: readonly StreamFlag[]): { note?: Note } {
  if (!begun || begun.flags || !flags.includes('large-block')) return {};
  const message =
    `${dataset.name} is sent with --large-block, and whether ${begun.dataset} on ${host} began with large blocks is not known: if it did not, ` +
    'OpenZFS 2.1 can zero files there (openzfs#6224). Leave --large-block out unless the first stream had it (zfs send -L).';
  return { note: { kind: 'unknown-beginning', dataset: dataset.name, message } };
}

/** What raw implies (zfs-send(8), `-w`) and can therefore not be without. */
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
      `${dataset.name} on ${host} is encrypted and sent raw, as it is on disk, which ${unwanted[1]} cannot change. ` +
        `Ways out: leave it out, or ask for --no-raw.`,
    );
  }
  return wish.props ? ['raw', 'props'] : ['raw'];
}

/** The pool feature that a stream needs which was asked to be so; whatever the dataset holds now, its chain could not go on. */
const needed = [
  ['largeBlock', '--large-block', 'large_blocks'],
  ['embed', '--embed', 'embedded_data'],
  ['compressed', '--compressed', 'lz4_compress'],
] as const;

/** What was asked for, and the target's pool cannot take. Without a wish only what it can take is chosen. */
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
    `${flag} is refused for ${dataset.name} on ${from}: pool ${pool} on ${host} has not the feature ${feature}. ` +
      `Ways out: leave ${flag} out, or upgrade that pool (zpool set feature@${feature}=enabled ${pool}).`,
    { details: { host, pool } },
  );
}

function plainFlags(known: Known): StreamFlag[] | Refusal {
  const { source, host, wish, begun, features } = known;
  const { host: from, dataset } = source;
  if (wish.props && dataset.encryption !== 'off') {
    return refuse(
      'BAD_REQUEST',
      `${dataset.name} on ${from} is encrypted, and zfs sends its properties (-p) only with a raw stream. Leave out -p, or --no-raw.`,
    );
  }
  const lacking = lackingFeature(known);
  if (lacking) return lacking;
  const can = (...wanted: StreamFeature[]): boolean => wanted.every((feature) => features?.includes(feature));
  const had = (flag: StreamFlag): boolean | undefined => begun?.flags?.includes(flag);
  // a chain of which nothing is remembered goes on without
  const largeBlock = wish.largeBlock ?? (begun ? had('large-block') : can('large_blocks')) ?? false;
  if (begun?.flags && largeBlock !== had('large-block')) {
    const [began, flag] = largeBlock ? ['without it', '--large-block'] : ['with large blocks', '--no-large-block'];
    const which = begun.returns ? `${dataset.name} was received from ${host}` : `${begun.dataset} on ${host} began`;
    return refuse(
      'UNSUPPORTED',
      `${flag} is refused for ${dataset.name} on ${from}: ${which} ${began}, and a change under way can ` +
        `zero files (openzfs#6224). Ways out: leave ${flag} out, or send it under another name.`,
      { details: { host, dataset: begun.dataset } },
    );
  }
  const compressed = wish.compressed ?? had('compressed') ?? can('lz4_compress', 'zstd_compress');
  const chosen: [StreamFlag, boolean | undefined][] = [
    ['large-block', largeBlock],
    // never unasked: on some releases it loses the spill blocks of long symlinks and attributes (openzfs#18239)
    ['embed', wish.embed],
    ['compressed', compressed],
    ['props', wish.props],
  ];
  return chosen.filter(([, is]) => is).map(([flag]) => flag);
}
