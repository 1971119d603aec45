/** The first record of a `zfs send` stream (sys/zfs_ioctl.h, dmu_replay_record_t). */
export interface BeginRecord {
  /** 1: a stream; 2: one that holds streams. */
  readonly kind?: bigint;
  /** Numbers of feature flags. */
  readonly bits?: readonly number[];
  readonly toguid?: bigint;
  readonly fromguid?: bigint;
  /** Bytes that follow it. */
  readonly payload?: number;
  readonly big?: boolean;
}

export function streamBegin({
  kind = 1n,
  bits = [],
  toguid = 7n,
  fromguid = 0n,
  payload = 0,
  big = false,
}: BeginRecord = {}): Buffer {
  const bytes = Buffer.alloc(312 + payload);
  const version = bits.reduce((all, bit) => all | (1n << BigInt(bit + 2)), kind);
  const large = (value: bigint, at: number) =>
    big ? bytes.writeBigUInt64BE(value, at) : bytes.writeBigUInt64LE(value, at);
  if (big) bytes.writeUInt32BE(payload, 4);
  else bytes.writeUInt32LE(payload, 4);
  large(0x2f5bacbacn, 8);
  large(version, 16);
  large(toguid, 40);
  large(fromguid, 48);
  return bytes;
}
