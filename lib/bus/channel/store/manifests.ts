import { ZpsendError } from '../../../../schemas/errors.ts';
import { type Manifest, manifestSchema, type WaitingStream } from '../../../../schemas/stored.ts';
import { tooMuch } from '../../bounds.ts';
import { parseStoredName, storedName } from '../../subjects.ts';
import type { StreamsBucket } from './object-bucket.ts';

/** The largest manifest, in bytes: enough for 100,000 digests and the properties for its targets. */
const mostManifestBytes = 8 * 1024 * 1024;

/** The limits of one source's store. A receiver fetches nothing from a larger store. */
export interface CatalogBounds {
  readonly streams: number;
  /** Bytes of the cached manifests, as JSON. */
  readonly bytes: number;
  /** Invalid manifests. Each is read again whenever the store has changed. */
  readonly refused: number;
}

export const catalogBounds: CatalogBounds = { streams: 100_000, bytes: 64 * 1024 * 1024, refused: 100 };
/** The limits that a source has for its own store: none. */
export const unbounded: CatalogBounds = {
  streams: Number.POSITIVE_INFINITY,
  bytes: Number.POSITIVE_INFINITY,
  refused: Number.POSITIVE_INFINITY,
};

interface Catalog {
  /** Every complete stream, in the order in which they were stored. */
  readonly waiting: readonly WaitingStream[];
  /** The names of all objects in the bucket. */
  readonly names: readonly string[];
}

/** Reads a source's catalog repeatedly. Only changes are read again. */
export interface CatalogReader {
  /** @returns an empty catalog if there is no bucket. @throws ZpsendError; TOO_MUCH for a store beyond its bounds */
  read(): Promise<Catalog>;
}

interface Known {
  readonly stream: WaitingStream;
  readonly seq: number;
  /** Bytes of the stream, as JSON. */
  readonly bytes: number;
}

const empty: Catalog = { waiting: [], names: [] };

const refusal = (bucket: StreamsBucket, name: string, why: string): ZpsendError =>
  new ZpsendError('BAD_REQUEST', `the manifest ${name} in the streams of ${bucket.source} is refused: ${why}`);

/** @returns the manifest; undefined if there is none. @throws ZpsendError BAD_REQUEST for an invalid one */
async function load(bucket: StreamsBucket, name: string): Promise<{ manifest: Manifest; seq: number } | undefined> {
  const bad = (why: string) => refusal(bucket, name, why);
  const got = await bucket.get(name, mostManifestBytes);
  if (!got) return undefined;
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

/**
 * The manifest of a stored stream, with its digests.
 * @throws ZpsendError STREAM_BROKEN if it is gone or has changed; errors of the store
 */
export async function readManifest(bucket: StreamsBucket, stream: WaitingStream): Promise<Manifest> {
  const got = await load(bucket, storedName({ kind: 'manifest', id: stream.id })).catch((thrown) => {
    const { code, message } = ZpsendError.from(thrown);
    if (code !== 'BAD_REQUEST' && code !== 'STREAM_BROKEN') throw thrown;
    return message;
  });
  const manifest = typeof got === 'object' ? got.manifest : undefined;
  const isSame =
    manifest?.bytes === stream.bytes && JSON.stringify(manifest.targets) === JSON.stringify(stream.targets);
  if (isSame) return manifest;
  throw new ZpsendError(
    'STREAM_BROKEN',
    `the stored stream ${stream.id} from ${stream.source} (${stream.targets[0]?.start.to.name}) cannot be read: its manifest ` +
      `${typeof got === 'string' ? `is refused (${got})` : got ? 'was changed' : 'is gone'}; the next job of ${stream.source} sends it again`,
    { reason: 'lost', stored: stream.id },
  );
}

/** @param refused called once for each invalid manifest, which is skipped */
export function readCatalog(
  bucket: StreamsBucket,
  refused: (why: string) => void,
  bounds: CatalogBounds = catalogBounds,
): CatalogReader {
  const known = new Map<string, Known>();
  const refusals = new Map<string, string>();
  let mark: string | undefined;
  let last: Catalog | ZpsendError = empty;

  async function streamOf(name: string): Promise<Known | undefined> {
    try {
      const now = known.get(name) ?? (await summary(name));
      known.set(name, now);
      return now;
    } catch (thrown) {
      const { code, message } = ZpsendError.from(thrown);
      // a manifest that cannot be read is read the next time, and so is an invalid one: its sender may store it again
      if (code !== 'STREAM_BROKEN' && code !== 'BAD_REQUEST') throw thrown;
      if (refusals.get(name) !== message) refused(message);
      refusals.set(name, message);
      return undefined;
    }
  }

  async function summary(name: string): Promise<Known> {
    const got = await load(bucket, name);
    if (!got) throw refusal(bucket, name, 'it is gone');
    const { id, source, bytes, digests, targets } = got.manifest;
    const stream: WaitingStream = { id, source, bytes, targets, segments: digests.length };
    return { stream, seq: got.seq, bytes: Buffer.byteLength(JSON.stringify(stream)) };
  }

  async function list(): Promise<Catalog | ZpsendError> {
    const over = (limit: string, most: number) => tooMuch(`the store of ${bucket.source}`, limit, most);
    const names = await bucket.names();
    const manifests = names.filter((name) => parseStoredName(name)?.kind === 'manifest');
    const all = new Set(names);
    for (const map of [known, refusals]) for (const name of map.keys()) if (!all.has(name)) map.delete(name);
    if (manifests.length > bounds.streams) return over('streams', bounds.streams);
    const there: Known[] = [];
    let bytes = 0;
    for (const name of manifests) {
      const one = await streamOf(name);
      bytes += one?.bytes ?? 0;
      if (refusals.size > bounds.refused) return over('manifests that are refused', bounds.refused);
      if (bytes > bounds.bytes) return over('bytes in the manifests of its streams', bounds.bytes);
      if (one) there.push(one);
    }
    const waiting = there.sort((a, b) => a.seq - b.seq).map(({ stream }) => stream);
    return { waiting, names };
  }

  return {
    async read() {
      const now = await bucket.mark();
      if (now === undefined) return empty;
      if (now !== mark) {
        last = await list();
        if (last instanceof ZpsendError) for (const map of [known, refusals]) map.clear();
        mark = now;
      }
      if (last instanceof ZpsendError) throw last;
      return last;
    },
  };
}

/** How a manifest contradicts itself, its name or its bucket; undefined if it does not. A source stores only its own streams (I11). */
export function contradiction(
  { id, source, bytes, segment, digests, targets }: Manifest,
  name: string,
  owner: string,
): string | undefined {
  const named = parseStoredName(name);
  if (named?.kind !== 'manifest' || named.id !== id) return `it is that of ${id}`;
  if (source !== owner) return `it claims to come from ${source}`;
  const unexpected = targets.find(({ start }) => start.sourceHost !== owner);
  if (unexpected) return `a stream in it claims to come from ${unexpected.start.sourceHost}`;
  if (bytes <= segment * (digests.length - 1) || bytes > segment * digests.length) {
    return `${bytes} bytes are not ${digests.length} segments of ${segment}`;
  }
  const [first, ...others] = targets;
  const other = others.find(({ start }) => start.to.guid !== first?.start.to.guid);
  return other ? `its targets name different snapshots` : undefined;
}
