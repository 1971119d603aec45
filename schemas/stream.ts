import { z } from 'zod';

/**
 * The flags of `zfs send` besides the snapshots (zfs-send(8)): `raw` -w, `large-block` -L, `embed` -e, `compressed` -c, `props` -p.
 * Raw implies `large-block`, `embed` and `compressed`, so they are not listed with it.
 */
export const streamFlagSchema = z.enum(['raw', 'large-block', 'embed', 'compressed', 'props']);

/** The requested flags of the streams. Absent ones follow from the abilities of both sides and the initial flags of the chain. */
export const streamWishSchema = z.strictObject({
  /** Send encrypted datasets without decryption: no side needs the key. It does not affect other datasets. */
  raw: z.boolean().optional(),
  largeBlock: z.boolean().optional(),
  embed: z.boolean().optional(),
  compressed: z.boolean().optional(),
  /** Send the dataset's properties. */
  props: z.boolean().optional(),
});

const kept = '(?:raw|large-block|embed|compressed)';

/**
 * The initial flags of a chain, the value of `zpsend:stream` on the target: `<guid of the source's dataset>:<flags>`. The guid is
 * needed because children inherit user properties.
 */
export const streamMarkSchema = z
  .string()
  .regex(new RegExp(`^[0-9]{1,20}:(?:${kept}(?:,${kept}){0,3})?$`), 'not a stream mark: GUID:FLAG,FLAG');

/** The pool features that decide which flags and streams a target can receive (zpool-features(7)). */
export const streamFeatureSchema = z.enum([
  'extensible_dataset',
  'encryption',
  'large_blocks',
  'embedded_data',
  'lz4_compress',
  'zstd_compress',
  'large_dnode',
  'large_microzap',
  'longname',
  'redacted_datasets',
]);

export type StreamFlag = z.infer<typeof streamFlagSchema>;
export type StreamWish = z.infer<typeof streamWishSchema>;
export type StreamFeature = z.infer<typeof streamFeatureSchema>;
