import { Refusal } from './refusal.ts';
import type { Pool } from './state.ts';

/** The pool features that streams and bookmarks depend on (zpool-features(7)). */
const FEATURES = [
  'extensible_dataset',
  'encryption',
  'bookmarks',
  'large_blocks',
  'embedded_data',
  'lz4_compress',
  'zstd_compress',
  'large_dnode',
  'large_microzap',
  'longname',
  'redacted_datasets',
];
/** Features that are enabled together with these (zpool-features(7)). */
const EXTENSIBLE = [
  'encryption',
  'bookmarks',
  'large_blocks',
  'zstd_compress',
  'large_dnode',
  'large_microzap',
  'longname',
  'redacted_datasets',
];

export const isEnabled = (pool: Pool, feature: string): boolean => pool.features?.includes(feature) ?? true;

/** `zpool create -d` enables only the named features; without `-d`, all that are not disabled. */
export function featuresAsked(none: boolean, pairs: readonly string[]): string[] {
  const enabled = new Set(none ? [] : FEATURES);
  for (const pair of pairs) {
    const [property = '', value] = pair.split('=', 2);
    const name = property.replace(/^feature@/, '');
    if (!property.startsWith('feature@') || !FEATURES.includes(name)) continue;
    if (value === 'enabled') enabled.add(name);
    else if (value === 'disabled') enabled.delete(name);
    else throw new Refusal(`property '${property}' can only be set to 'enabled' or 'disabled'`);
  }
  if (EXTENSIBLE.some((name) => enabled.has(name))) enabled.add('extensible_dataset');
  return [...enabled];
}

/** Their values in `zpool get all`. */
export const featureValues = (pool: Pool): [property: string, value: string][] =>
  FEATURES.map((name) => [`feature@${name}`, isEnabled(pool, name) ? 'enabled' : 'disabled']);
