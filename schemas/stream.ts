import { z } from 'zod';

/**
 * The flags of `zfs send` besides the snapshots (zfs-send(8)): `raw` -w, `large-block` -L, `embed` -e, `compressed` -c, `props` -p.
 * Raw implies the three after it, so they are not listed beside it.
 */
export const streamFlagSchema = z.enum(['raw', 'large-block', 'embed', 'compressed', 'props']);

/** What a person wants of the streams; what is absent is chosen by what both sides can, and by what a chain began with. */
export const streamWishSchema = z.strictObject({
  /** Encrypted datasets as they are on disk: no key is needed on either side. Others are sent as without it. */
  raw: z.boolean().optional(),
  largeBlock: z.boolean().optional(),
  embed: z.boolean().optional(),
  compressed: z.boolean().optional(),
  /** The dataset's properties with it. */
  props: z.boolean().optional(),
});

const kept = '(?:raw|large-block|embed|compressed)';

/**
 * What a chain began with, the value of `zpsend:stream` on the target: `<guid of the source's dataset>:<flags>`. The guid
 * is there because children inherit user properties.
 */
export const streamMarkSchema = z
  .string()
  .regex(new RegExp(`^[0-9]{1,20}:(?:${kept}(?:,${kept}){0,3})?$`), 'not a mark of a stream: GUID:FLAG,FLAG');

/** The pool features that decide how a target can receive, which flags, and which streams (zpool-features(7)). */
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
