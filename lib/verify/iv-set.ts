/** The name of the pair, with the NUL that ends it. */
const name = Buffer.from('to_ivset_guid\0');
/** A native `nvpair_t`: sizes and types in 16 bytes, the name, and the value at the next multiple of 8 (sys/nvpair.h). */
const nameAt = 16;
const valueAt = 32;
const uint64 = 8;

/** As much of a BEGIN record's payload as the pair is looked for in, in bytes; it has a handful of pairs. */
export const beginBytes = 64 * 1024;

/**
 * Which encryption a snapshot's blocks have, of the nvlist that a raw stream begins with: the guid that its replicas share,
 * and that any other encryption of the same content has another of. Undefined where there is none (not raw, or very old).
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
