import { type StreamFeature, type StreamFlag, streamFeatureSchema, streamFlagSchema } from '../../schemas/stream.ts';

const letters: Readonly<Record<StreamFlag, string>> = {
  raw: '-w',
  'large-block': '-L',
  embed: '-e',
  compressed: '-c',
  props: '-p',
};

/** Flags as arguments of `zfs send`, in the order of their schema. */
export const streamFlagArgv = (flags: readonly StreamFlag[]): string[] =>
  streamFlagSchema.options.filter((flag) => flags.includes(flag)).map((flag) => letters[flag]);

/** The features of each pool in one of these states, of those that streams depend on, from `zpool get -Hp -o name,property,value all`. */
export function parseFeatures(
  stdout: string,
  states: readonly ('enabled' | 'active')[],
): Record<string, StreamFeature[]> {
  const features: Record<string, StreamFeature[]> = {};
  for (const line of stdout.split('\n')) {
    const [pool, property = '', value] = line.split('\t');
    if (!pool) continue;
    features[pool] ??= [];
    const known = streamFeatureSchema.safeParse(property.replace(/^feature@/, ''));
    const isInState = states.some((state) => state === value);
    if (property.startsWith('feature@') && known.success && isInState) features[pool].push(known.data);
  }
  return features;
}
