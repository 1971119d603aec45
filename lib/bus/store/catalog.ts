import { ZpsendError } from '../../../schemas/errors.ts';
import { type Manifest, manifestSchema } from '../../../schemas/stored.ts';
import { parseStoredName } from '../subjects.ts';
import type { StreamsBucket } from './bucket.ts';

/** A manifest is no larger than this, in bytes: 100,000 digests fit. */
const mostBytes = 16 * 1024 * 1024;

export interface Catalog {
  /** Every stream that is whole, in the order in which they were stored. */
  readonly waiting: readonly Manifest[];
  /** Of everything in the bucket. */
  readonly names: readonly string[];
}

/** Reads a source's catalog again and again, and of it only what has changed. */
export interface CatalogReader {
  /** @throws ZpsendError; an empty catalog where there is no bucket */
  read(): Promise<Catalog>;
}

interface Known {
  readonly manifest: Manifest;
  readonly seq: number;
}

const empty: Catalog = { waiting: [], names: [] };

/** @param refused told of each manifest that is not what it should be, once; it is passed over */
export function readCatalog(bucket: StreamsBucket, refused: (why: string) => void): CatalogReader {
  const known = new Map<string, Known>();
  const refusals = new Map<string, string>();
  let mark: string | undefined;
  let last = empty;

  async function manifestOf(name: string): Promise<Known | undefined> {
    try {
      const now = known.get(name) ?? (await load(name));
      known.set(name, now);
      return now;
    } catch (thrown) {
      const { code, message } = ZpsendError.from(thrown);
      // what could not be read now is read the next time; so is what may yet be put again, by a sender that did not hear of it
      if (code !== 'STREAM_BROKEN' && code !== 'BAD_REQUEST') throw thrown;
      if (refusals.get(name) !== message) refused(message);
      refusals.set(name, message);
      return undefined;
    }
  }

  async function load(name: string): Promise<Known> {
    const bad = (why: string) =>
      new ZpsendError('BAD_REQUEST', `the manifest ${name} in the streams of ${bucket.source} is refused: ${why}`);
    const got = await bucket.get(name, mostBytes);
    if (!got) throw bad('it is gone');
    let json: unknown;
    try {
      json = JSON.parse(got.bytes.toString());
    } catch {
      throw bad('it is not JSON');
    }
    const { data, error } = manifestSchema.safeParse(json);
    if (!data) throw bad(`${error.issues[0]?.path.join('.')}: ${error.issues[0]?.message}`);
    const why = contradiction(data, name, bucket.source);
    if (why !== undefined) throw bad(why);
    return { manifest: data, seq: got.object.seq };
  }

  return {
    async read() {
      const now = await bucket.mark();
      if (now === undefined) return empty;
      if (now === mark) return last;
      const names = await bucket.names();
      const there: Known[] = [];
      for (const name of names) {
        if (parseStoredName(name)?.kind !== 'manifest') continue;
        const one = await manifestOf(name);
        if (one) there.push(one);
      }
      const waiting = there.sort((a, b) => a.seq - b.seq).map(({ manifest }) => manifest);
      const all = new Set(names);
      for (const map of [known, refusals]) for (const name of map.keys()) if (!all.has(name)) map.delete(name);
      mark = now;
      last = { waiting, names };
      return last;
    },
  };
}

/** What a manifest says against itself, its name, or the bucket that it lies in; a source speaks for itself only (I11). */
export function contradiction(
  { id, source, bytes, segment, digests, targets }: Manifest,
  name: string,
  owner: string,
): string | undefined {
  const named = parseStoredName(name);
  if (named?.kind !== 'manifest' || named.id !== id) return `it is that of ${id}`;
  if (source !== owner) return `it says that it comes from ${source}`;
  const foreign = targets.find(({ start }) => start.source !== owner);
  if (foreign) return `a stream in it says that it comes from ${foreign.start.source}`;
  if (bytes <= segment * (digests.length - 1) || bytes > segment * digests.length) {
    return `${bytes} bytes are not ${digests.length} segments of ${segment}`;
  }
  const [first, ...others] = targets;
  const other = others.find(({ start }) => start.to.guid !== first?.start.to.guid);
  return other ? `its targets are to have different snapshots` : undefined;
}
