import { deflateSync } from 'node:zlib';

type Value = bigint | string | true;

const whole = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
};
const text = (value: string): Buffer => {
  const bytes = Buffer.from(value, 'latin1');
  return Buffer.concat([whole(bytes.length), bytes, Buffer.alloc(-bytes.length & 3)]);
};

function contentOf(value: Value): Buffer {
  if (typeof value === 'string') return text(value);
  const number = Buffer.alloc(value === true ? 0 : 8);
  if (value !== true) number.writeBigUInt64BE(value);
  return number;
}

function pair(name: string, value: Value): Buffer {
  const type = typeof value === 'bigint' ? 8 : typeof value === 'string' ? 9 : 1;
  const body = Buffer.concat([text(name), whole(type), whole(value === true ? 0 : 1), contentOf(value)]);
  const aligned = (length: number) => (length + 7) & ~7;
  const content = value === true ? 0 : typeof value === 'bigint' ? 8 : aligned(value.length + 1);
  return Buffer.concat([whole(body.length + 8), whole(aligned(17 + name.length) + content), body]);
}

/** A resume token of any names and values, in the XDR form that libnvpair reads and ZFS never writes. */
export function forgedToken(pairs: readonly (readonly [string, Value])[]): string {
  const list = pairs.map(([name, value]) => pair(name, value));
  const packed = Buffer.concat([Buffer.from([1, 1, 0, 0]), whole(0), whole(1), ...list, Buffer.alloc(8)]);
  return tokenAround(packed);
}

/** A token around any packed bytes, with a checksum and a length that fit. */
export function tokenAround(packed: Buffer, length = packed.length): string {
  const body = deflateSync(packed);
  let sum = 0n;
  for (let at = 0; at + 4 <= body.length; at += 4) sum += BigInt(body.readUInt32LE(at));
  return `1-${sum.toString(16)}-${length.toString(16)}-${body.toString('hex')}`;
}
