/** A value of an nvlist: a 64-bit number, a string, or a flag, which is present or absent. */
export type NvValue = bigint | string | true;

const types = { flag: 1, number: 8, text: 9 } as const;
/** Bytes of a pair's header: its size, the length of its name, the number of values, and their type (sys/nvpair.h, nvpair_t). */
const pairBytes = 16;
const align = (bytes: number): number => (bytes + 7) & ~7;

const typeOf = (value: NvValue): number =>
  typeof value === 'bigint' ? types.number : typeof value === 'string' ? types.text : types.flag;

function packPair(name: string, value: NvValue): Buffer {
  const at = align(pairBytes + name.length + 1);
  const length = typeof value === 'bigint' ? 8 : typeof value === 'string' ? align(value.length + 1) : 0;
  const pair = Buffer.alloc(at + length);
  pair.writeInt32LE(pair.length, 0);
  pair.writeInt16LE(name.length + 1, 4);
  pair.writeInt32LE(value === true ? 0 : 1, 8);
  pair.writeInt32LE(typeOf(value), 12);
  pair.write(name, pairBytes, 'latin1');
  if (typeof value === 'bigint') pair.writeBigUInt64LE(value, at);
  if (typeof value === 'string') pair.write(value, at, 'latin1');
  return pair;
}

/** An nvlist with unique names, as libnvpair packs it on a little-endian machine (NV_ENCODE_NATIVE). */
export function packNvlist(values: ReadonlyMap<string, NvValue>): Buffer {
  const head = Buffer.alloc(12);
  head.writeUInt8(1, 1);
  head.writeInt32LE(1, 8);
  return Buffer.concat([head, ...[...values].map(([name, value]) => packPair(name, value)), Buffer.alloc(4)]);
}

/**
 * Reads a packed nvlist with unique names, of either byte order.
 * @throws Error for the XDR encoding, a repeated name, another type, or trailing bytes: ZFS writes none of them
 */
export function unpackNvlist(bytes: Buffer): Map<string, NvValue> {
  const isLittle = bytes[1] === 1;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const whole = (at: number): number => view.getInt32(at, isLittle);
  if (bytes.length < pairBytes || bytes[0] !== 0 || (bytes[1] ?? 2) > 1)
    throw new Error('it is not a packed nvlist of ZFS');
  if (whole(4) !== 0 || whole(8) !== 1) throw new Error('it is not an nvlist with unique names');
  const values = new Map<string, NvValue>();
  let at = 12;
  for (let size = whole(at); size !== 0; size = whole(at)) {
    if (size < pairBytes || at + size + 4 > bytes.length) throw new Error('it is cut off');
    const nameLength = view.getInt16(at + 4, isLittle);
    const from = at + align(pairBytes + nameLength);
    const end = at + size;
    if (nameLength < 2 || from > end) throw new Error('it is cut off');
    const name = bytes.toString('latin1', at + pairBytes, at + pairBytes + nameLength - 1);
    if (values.has(name)) throw new Error(`it holds ${JSON.stringify(name)} twice`);
    values.set(
      name,
      valueIn(bytes.subarray(from, end), { name, count: whole(at + 8), type: whole(at + 12), isLittle }),
    );
    at = end;
  }
  if (at + 4 !== bytes.length) throw new Error('it has trailing bytes');
  return values;
}

function valueIn(
  bytes: Buffer,
  { name, count, type, isLittle }: { name: string; count: number; type: number; isLittle: boolean },
): NvValue {
  if (type === types.flag && count === 0 && bytes.length === 0) return true;
  if (type === types.number && count === 1 && bytes.length === 8) {
    return isLittle ? bytes.readBigUInt64LE() : bytes.readBigUInt64BE();
  }
  const zero = bytes.indexOf(0);
  if (type === types.text && count === 1 && zero >= 0 && align(zero + 1) === bytes.length) {
    return bytes.toString('latin1', 0, zero);
  }
  throw new Error(`${JSON.stringify(name)} is of another type`);
}
