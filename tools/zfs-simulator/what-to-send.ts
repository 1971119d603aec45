import type { Options } from './getopt.ts';
import { encryptionRoot, isEncrypted, wrappingOf } from './keys.ts';
import { findBookmark, findDataset, lookupSnapshot, noSuch, openSnapshot, readPoolOf } from './lookup.ts';
import { checkedName, parseName } from './names.ts';
import { localProperties } from './property-store.ts';
import { Refusal, usage } from './refusal.ts';
import type { ResumePoint } from './resume-token.ts';
import type { Bookmark, Dataset, Pool, Snapshot } from './state.ts';
import type { StreamHead } from './stream-format.ts';
import { isInPast } from './timeline.ts';

/** A stream to send, and its names in messages. */
export interface Sending {
  head: StreamHead;
  /** The given name of the base, for the output of a dry run. */
  from?: string;
  snapshot: string;
}

/** The stream of a command line without a token. */
export function requestedStream(options: Options, synopsis: string): Sending {
  const has = (letter: string): boolean => options.given.has(letter);
  const [operand, ...more] = options.operands;
  if (operand === undefined) throw usage('missing snapshot argument', synopsis);
  if (more.length > 0) throw usage('too many arguments', synopsis);
  const pool = readPoolOf(operand);
  const base = options.given.get('i')?.[0];
  const { dataset, snapshot } = openSnapshot(pool, operand);
  const from =
    base === undefined || pool === undefined
      ? undefined
      : findBase(pool, { dataset, snapshot }, operand, base, has('n'));
  const raw = has('w');
  if (from?.redaction && raw && pool && encryptionRoot(pool, dataset)?.keyLoaded === false && !has('n')) {
    throw new Refusal(`warning: cannot send '${operand}': dataset key must be loaded`);
  }
  if (pool !== undefined && isEncrypted(dataset) && !raw) {
    if (has('p')) {
      throw new Refusal(
        `cannot send ${operand}: encrypted dataset ${dataset.name} may not be sent with properties without the raw flag\n` +
          `warning: cannot send '${operand}': backup failed`,
      );
    }
    if (encryptionRoot(pool, dataset)?.keyLoaded === false && !has('n')) {
      throw new Refusal(`warning: cannot send '${operand}': dataset key must be loaded`);
    }
  }
  const flags = [
    ...((has('L') || raw) && dataset.large ? ['largeblockok'] : []),
    // an encrypted dataset has no embedded data
    ...((has('e') || raw) && !isEncrypted(dataset) ? ['embedok'] : []),
    ...(has('c') || raw ? ['compressok'] : []),
  ];
  const head = headOf(pool, { dataset, snapshot }, from, raw, flags, has('p'));
  return { head, snapshot: operand, ...(from === undefined ? {} : { from: from.name }) };
}

interface Base {
  name: string;
  guid: string;
  extents: number;
  ivset?: string | undefined;
  clone: boolean;
  /** Is it a redaction bookmark? */
  redaction?: boolean;
}

function findBase(
  pool: Pool,
  { dataset, snapshot }: { dataset: Dataset; snapshot: Snapshot },
  to: string,
  base: string,
  dryRun: boolean,
): Base {
  const full = /^[@#]/.test(base)
    ? `${dataset.name}${base}`
    : base.includes('@') || base.includes('#')
      ? base
      : `${dataset.name}@${base}`;
  const name = checkedName(full);
  const notEarlier = new Refusal(`warning: cannot send '${to}': not an earlier snapshot from the same fs`);
  if (name.bookmark !== undefined) {
    const home = findDataset(pool, name.dataset);
    const bookmark = findBookmark(home, name.bookmark);
    if (home === undefined || bookmark === undefined) {
      // the ioctl for the size of such a stream fails with ESRCH
      const why = dryRun ? 'No such process' : `incremental source (${full}) does not exist`;
      throw new Refusal(`warning: cannot send '${to}': ${why}`);
    }
    if (!isInPast(pool, home, bookmark.txg, dataset, snapshot.txg)) throw notEarlier;
    const redaction = bookmark.redaction !== undefined;
    return { name: full, ...baseOf(bookmark), clone: home !== dataset, redaction };
  }
  const found = lookupSnapshot(pool, full);
  if (found === undefined) throw noSuch(full);
  if (!isInPast(pool, found.dataset, found.snapshot.txg, dataset, snapshot.txg)) throw notEarlier;
  const clone = found.dataset !== dataset;
  return { name: full, ...baseOf(found.snapshot), clone };
}

const baseOf = ({ guid, extents, ivset }: Snapshot | Bookmark): Pick<Base, 'guid' | 'extents' | 'ivset'> => ({
  guid,
  extents,
  ivset,
});

function headOf(
  pool: Pool | undefined,
  { dataset, snapshot }: { dataset: Dataset; snapshot: Snapshot },
  from: Base | undefined,
  raw: boolean,
  flags: string[],
  withProperties: boolean,
): StreamHead {
  const isRaw = raw && isEncrypted(dataset);
  const root = pool && encryptionRoot(pool, dataset);
  const wrapping = isRaw && root ? wrappingOf(pool, root) : undefined;
  return {
    toguid: snapshot.guid,
    fromguid: from?.guid ?? '0',
    toname: `${dataset.name}@${snapshot.name}`,
    time: snapshot.time,
    type: dataset.type,
    extents: dataset.extents.slice((from?.extents ?? 0) * 2, snapshot.extents * 2),
    clone: from?.clone ?? false,
    raw: isRaw,
    ...(isRaw ? { encryption: dataset.props.encryption ?? 'aes-256-gcm' } : {}),
    ...(wrapping && { wrapping }),
    ...(isRaw && snapshot.ivset !== undefined ? { ivset: snapshot.ivset } : {}),
    ...(isRaw && from?.ivset !== undefined ? { fromIvset: from.ivset } : {}),
    props: {
      ...(dataset.props.volsize === undefined ? {} : { volsize: dataset.props.volsize }),
      ...(withProperties ? localProperties(dataset) : {}),
    },
    flags,
  };
}

/** The stream of a resume token; finds its snapshots by guid, under any name. */
export function resumed(point: ResumePoint): Sending {
  const pool = readPoolOf(point.toname);
  const named = pool === undefined ? undefined : lookupSnapshot(pool, point.toname);
  const to =
    named?.snapshot.guid === point.toguid ? named : byGuid(pool, point.toguid, parseName(point.toname).dataset);
  if (pool === undefined || to === undefined) {
    throw new Refusal(`cannot resume send: '${point.toname}' used in the initial send no longer exists`, 255);
  }
  let from: Base | undefined;
  if (point.fromguid !== '0') {
    const base = byGuid(pool, point.fromguid, to.dataset.name);
    const bookmark = to.dataset.bookmarks.find((mark) => mark.guid === point.fromguid);
    if (base !== undefined) {
      from = {
        name: `${base.dataset.name}@${base.snapshot.name}`,
        ...baseOf(base.snapshot),
        clone: base.dataset !== to.dataset,
      };
    } else if (bookmark !== undefined) {
      from = {
        name: `${to.dataset.name}#${bookmark.name}`,
        ...baseOf(bookmark),
        clone: false,
      };
    } else {
      throw new Refusal(
        `cannot resume send: incremental source 0x${BigInt(point.fromguid).toString(16)} no longer exists`,
        255,
      );
    }
  }
  const head = headOf(pool, to, from, point.raw, point.flags, false);
  head.resume = { object: point.object, offset: point.offset };
  const snapshot = `${to.dataset.name}@${to.snapshot.name}`;
  return { head, snapshot, ...(from === undefined ? {} : { from: from.name }) };
}

/** A snapshot by its guid; of several, preferably that of the dataset `first`. */
function byGuid(
  pool: Pool | undefined,
  guid: string,
  first: string,
): { dataset: Dataset; snapshot: Snapshot } | undefined {
  const found = (pool?.datasets ?? []).flatMap((dataset) =>
    dataset.snapshots.filter((snapshot) => snapshot.guid === guid).map((snapshot) => ({ dataset, snapshot })),
  );
  return found.find(({ dataset }) => dataset.name === first) ?? found[0];
}
