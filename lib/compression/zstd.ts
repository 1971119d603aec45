import { constants, createZstdCompress, createZstdDecompress, type ZstdOptions } from 'node:zlib';

/**
 * The largest window that a stream may ask its receiver to keep, as a power of two: 2 MiB, which zstd's levels up to 8 stay
 * within. Without a bound a hostile stream could ask for gigabytes (I8).
 */
const maxWindowLog = 21;

/** A zstd frame begins with this (RFC 8878, 3.1.1), a ZFS stream with zeros: the type of its first record (zfs_ioctl.h). */
export const magic = Buffer.from([0x28, 0xb5, 0x2f, 0xfd]);

/** Level 1 keeps up with a disk on one core, also where nothing can be saved. */
export const compression: ZstdOptions = {
  chunkSize: 128 * 1024,
  params: { [constants.ZSTD_c_compressionLevel]: 1 },
};

export const compressor = () => createZstdCompress(compression);

export const decompressor = () =>
  createZstdDecompress({ chunkSize: 128 * 1024, params: { [constants.ZSTD_d_windowLogMax]: maxWindowLog } });
