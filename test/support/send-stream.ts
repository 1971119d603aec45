/** Records of a `zfs send` stream made by hand, as include/sys/zfs_ioctl.h lays them out. */

const magic = 0x2f5bacbacn;

type Fields = { [at: number]: number | bigint };

/** Whole 64-bit fields by their place; `small` ones have 32 bits, `bytes` 8. */
function header(type: number, payload: number, fields: { whole?: Fields; small?: Fields; bytes?: Fields }): Buffer {
  const bytes = Buffer.alloc(312);
  bytes.writeUInt32LE(type, 0);
  bytes.writeUInt32LE(payload, 4);
  for (const [at, value] of Object.entries(fields.whole ?? {})) bytes.writeBigUInt64LE(BigInt(value), Number(at));
  for (const [at, value] of Object.entries(fields.small ?? {})) bytes.writeUInt32LE(Number(value), Number(at));
  for (const [at, value] of Object.entries(fields.bytes ?? {})) bytes.writeUInt8(Number(value), Number(at));
  return bytes;
}

const padded = (bytes: Buffer): Buffer => Buffer.concat([bytes, Buffer.alloc((8 - (bytes.length % 8)) % 8, 0xee)]);

export const begin = (of: { guid?: string; from?: string; raw?: boolean; payload?: Buffer } = {}): Buffer => {
  const payload = of.payload ?? Buffer.alloc(0);
  const version = 1n | (of.raw ? 1n << 26n : 0n);
  const whole = { 8: magic, 16: version, 40: BigInt(of.guid ?? '7'), 48: BigInt(of.from ?? '0') };
  return Buffer.concat([header(0, payload.length, { whole }), payload]);
};

export const object = (number: number, of: { blockSize?: number; bonus?: Buffer } = {}): Buffer => {
  const bonus = of.bonus ?? Buffer.from('a bonus');
  const small = { 16: 19, 20: 44, 24: of.blockSize ?? 131072, 28: bonus.length };
  const payload = padded(bonus);
  return Buffer.concat([header(1, payload.length, { whole: { 8: number }, small }), payload]);
};

export const write = (number: number, offset: number | bigint, data: Buffer, of: { length?: number } = {}): Buffer => {
  const whole = { 8: number, 24: offset, 32: of.length ?? data.length, ...(of.length && { 96: data.length }) };
  return Buffer.concat([header(3, data.length, { whole, ...(of.length && { bytes: { 50: 15 } }) }), data]);
};

export const free = (number: number, offset: number, length: number): Buffer =>
  header(4, 0, { whole: { 8: number, 16: offset, 24: length } });

export const spill = (number: number, data: Buffer): Buffer =>
  Buffer.concat([header(7, data.length, { whole: { 8: number, 16: data.length } }), data]);

export const embedded = (number: number, offset: number, data: Buffer): Buffer => {
  const payload = padded(data);
  const of = {
    whole: { 8: number, 16: offset, 24: 131072 },
    small: { 48: 131072, 52: data.length },
    bytes: { 40: 15 },
  };
  return Buffer.concat([header(8, payload.length, of), payload]);
};

export const objectRange = (first: number): Buffer => header(9, 0, { whole: { 8: first, 16: 32 } });

export const end = (): Buffer => header(5, 0, {});

/** A native nvlist of one number, as `nvlist_pack` lays it out. */
export function nvlist(name: string, value: bigint, type = 8): Buffer {
  const head = Buffer.alloc(12);
  head[1] = 1;
  const valueAt = 16 + Math.ceil((name.length + 1) / 8) * 8;
  const pair = Buffer.alloc(valueAt + 8);
  pair.writeInt32LE(pair.length, 0);
  pair.writeInt16LE(name.length + 1, 4);
  pair.writeInt32LE(1, 8);
  pair.writeInt32LE(type, 12);
  pair.write(name, 16);
  pair.writeBigUInt64LE(value, valueAt);
  return Buffer.concat([head, pair, Buffer.alloc(4)]);
}
