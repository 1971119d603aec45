/** The name of the pair, with its final NUL. */
const name = Buffer.from('to_ivset_guid\0');
/** A native `nvpair_t`: sizes and types in 16 bytes, the name, and the value at the next multiple of 8 (sys/nvpair.h). */
const nameAt = 16;
const valueAt = 32;
const uint64 = 8;

/** The searched part of a BEGIN record's payload, in bytes; it has only a few pairs. */
export const beginBytes = 64 * 1024;

/**
 * The IV set guid in the nvlist of a raw stream: raw replicas share it, and another encryption of the same content has another one.
 * Undefined without one (a plain or very old stream).
 */
export function ivSetOf(payload: Buffer): string | undefined {
  // the byte order of the nvlist is its second byte
  const isLittle = payload[1] === 1;
  for (let at = payload.indexOf(name); at >= nameAt; at = payload.indexOf(name, at + 1)) {
    const pair = payload.subarray(at - nameAt, at - nameAt + valueAt + 8);
    if (pair.length < valueAt + 8) return undefined;
    const type = isLittle ? pair.readInt32LE(12) : pair.readInt32BE(12);
    if (type === uint64) return String(isLittle ? pair.readBigUInt64LE(valueAt) : pair.readBigUInt64BE(valueAt));
  }
  return undefined;
}
