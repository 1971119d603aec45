import { ZpsendError } from '../../../schemas/errors.ts';
import { type Manifest, manifestSchema } from '../../../schemas/stored.ts';
import { parseStoredName } from '../subjects.ts';
import type { StoredObject, StreamsBucket } from './bucket.ts';

/** A manifest is no larger than this, in bytes: 100,000 digests fit. */
const mostBytes = 16 * 1024 * 1024;

export interface Catalog {
  /** Every stream that is whole, in the order in which they were stored. */
  readonly waiting: readonly Manifest[];
  /** Everything in the bucket. */
  readonly objects: readonly StoredObject[];
}

/** Reads a source's catalog again and again, and of it only what has changed. */
export interface CatalogReader {
  /** @throws ZpsendError; an empty catalog where there is no bucket */
  read(): Promise<Catalog>;
}

const empty: Catalog = { waiting: [], objects: [] };

/** @param refused told of each manifest that is not what it should be, once; it is passed over */
export function readCatalog(bucket: StreamsBucket, refused: (why: string) => void): CatalogReader {
  const known = new Map<string, { nuid: string; manifest: Manifest | undefined }>();
  let mark: string | undefined;
  let last = empty;

  async function manifestOf({ name, nuid, bytes }: StoredObject): Promise<Manifest | undefined> {
    const before = known.get(name);
    if (before?.nuid === nuid) return before.manifest;
    const manifest = await load(name, bytes).catch((thrown) => {
      const error = ZpsendError.from(thrown);
      // what is wrong with it stays wrong; what could not be read now is read the next time
      if (error.code !== 'STREAM_BROKEN' && error.code !== 'BAD_REQUEST') throw error;
      refused(error.message);
      return undefined;
    });
    known.set(name, { nuid, manifest });
    return manifest;
  }

  async function load(name: string, bytes: number): Promise<Manifest> {
    const bad = (why: string) =>
      new ZpsendError('BAD_REQUEST', `the manifest ${name} in the streams of ${bucket.source} is refused: ${why}`);
    if (bytes > mostBytes) throw bad(`it has ${bytes} bytes`);
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
    return data;
  }

  return {
    async read() {
      const now = await bucket.mark();
      if (now === undefined) return empty;
      if (now === mark) return last;
      const objects = await bucket.list();
      const waiting: Manifest[] = [];
      for (const object of objects) {
        if (parseStoredName(object.name)?.kind !== 'manifest') continue;
        const manifest = await manifestOf(object);
        if (manifest) waiting.push(manifest);
      }
      const there = new Set(objects.map(({ name }) => name));
      for (const name of known.keys()) if (!there.has(name)) known.delete(name);
      mark = now;
      last = { waiting, objects };
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
