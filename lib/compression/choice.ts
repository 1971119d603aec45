import { promisify } from 'node:util';
import { zstdCompress } from 'node:zlib';
import type { CompressionEncoding, CompressionMode } from '../../schemas/transfer.ts';
import { compression } from './zstd.ts';

/** Flags of a stream whose blocks are sent as they are on disk, compressed or encrypted. */
const packed: readonly string[] = ['compressed', 'raw'];

/** The encodings that a sender offers its receiver; undefined for none. `flags` are those of the step's stream. */
export function offerOf(mode: CompressionMode, flags: readonly string[] = []): CompressionEncoding[] | undefined {
  if (mode === 'none' || (mode === 'auto' && flags.some((flag) => packed.includes(flag)))) return undefined;
  return ['zstd'];
}

/** The receiver's choice from an offer, of which it may support only a part. */
export const answerTo = (offer: readonly string[] | undefined): CompressionEncoding | undefined =>
  offer?.includes('zstd') ? 'zstd' : undefined;

/** Compression that saves less than a tenth is not worth its CPU time. */
const worthwhile = 0.9;

const compressed = promisify(zstdCompress);

/** Does the beginning of a stream compress well enough? */
export async function pays(beginning: Buffer): Promise<boolean> {
  const { length } = await compressed(beginning, compression);
  return length < beginning.length * worthwhile;
}
