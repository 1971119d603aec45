import { z } from 'zod';

/**
 * The flags of `zfs send` besides the snapshots (zfs-send(8)): `raw` -w, `large-block` -L, `embed` -e, `compressed` -c, `props` -p.
 * Raw implies `large-block`, `embed` and `compressed`, so they are not listed with it.
 */
export const streamFlagSchema = z.enum(['raw', 'large-block', 'embed', 'compressed', 'props']);

/** The requested flags of the streams. Absent ones follow from the abilities of both sides and the initial flags of the chain. */
export const streamWishSchema = z.strictObject({
  raw: z.boolean().optional().meta({
    description: 'Send encrypted datasets without decryption, as `zfs send -w`. No side needs the key.',
  }),
  largeBlock: z.boolean().optional().meta({ description: 'Send blocks over 128K unsplit, as `zfs send -L`.' }),
  embed: z.boolean().optional().meta({ description: 'Send embedded blocks as they are, as `zfs send -e`.' }),
  compressed: z.boolean().optional().meta({ description: 'Send compressed blocks as they are, as `zfs send -c`.' }),
  props: z.boolean().optional().meta({ description: "Send the dataset's properties, as `zfs send -p`." }),
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
