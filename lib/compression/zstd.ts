import { constants, createZstdCompress, createZstdDecompress, type ZstdOptions } from 'node:zlib';

/**
 * The largest window that a receiver accepts, as a power of two: 2 MiB, enough for zstd's levels up to 8. Without a limit, a hostile
 * stream could demand gigabytes of memory (I8).
 */
const maxWindowLog = 21;

/** The first bytes of a zstd frame (RFC 8878, 3.1.1). A ZFS stream starts with zeros, the type of its first record (zfs_ioctl.h). */
export const magic = Buffer.from([0x28, 0xb5, 0x2f, 0xfd]);

/** Level 1 is as fast as a disk on one core, even with incompressible data. */
export const compression: ZstdOptions = {
  chunkSize: 128 * 1024,
  params: { [constants.ZSTD_c_compressionLevel]: 1 },
};

export const compressor = () => createZstdCompress(compression);

export const decompressor = () =>
  createZstdDecompress({ chunkSize: 128 * 1024, params: { [constants.ZSTD_d_windowLogMax]: maxWindowLog } });
