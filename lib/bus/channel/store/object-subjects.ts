import { nuid } from '@nats-io/transport-node';
import { streamsBucket } from '../../subjects.ts';

/** The subjects of the objects of a bucket (ADR-20, https://github.com/nats-io/nats-architecture-and-design). */
export function subjectsOf(source: string) {
  const bucket = streamsBucket(source);
  const metas = `$O.${bucket}.M.`;
  const chunks = `$O.${bucket}.C.`;
  return {
    all: `$O.${bucket}.>`,
    allMetas: `${metas}>`,
    allChunks: `${chunks}>`,
    meta: (name: string): string => metas + encoded(Buffer.from(name)),
    chunks: (id: string): string => chunks + id,
    /** The name of the object whose metadata is on a subject. */
    nameOfMeta: (subject: string): string | undefined =>
      subject.startsWith(metas) ? decoded(subject.slice(metas.length)) : undefined,
    /** The name of the object that a chunk belongs to, if zpsend stored it. */
    nameOfChunk: (subject: string): string | undefined =>
      subject.startsWith(chunks) ? nameIn(subject.slice(chunks.length)) : undefined,
  };
}

/** base64url with padding, as in the object store (ADR-20). */
const encoded = (bytes: Buffer): string => bytes.toString('base64').replaceAll('+', '-').replaceAll('/', '_');
const decoded = (text: string): string => Buffer.from(text, 'base64url').toString();

/** The id of an object's chunks: a unique part and the object's name. */
export const newId = (name: string): string => `${nuid.next()}-${Buffer.from(name).toString('base64url')}`;
const nameIn = (id: string): string | undefined => {
  const at = id.indexOf('-');
  return at < 0 ? undefined : decoded(id.slice(at + 1));
};
/** Is it one token without wildcards? */
export const isToken = (id: unknown): boolean => typeof id === 'string' && /^[\w=-]+$/.test(id);

/** A digest as the metadata of an object has it. */
export const digestOf = (sha256: Buffer): string => `SHA-256=${encoded(sha256)}`;
