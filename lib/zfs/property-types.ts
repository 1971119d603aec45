/**
 * Settable properties that only filesystems have (zfsprops(7), zfs_prop.c; checked by test/contract/properties.test.ts).
 * `zfs receive -o` refuses a stream for a property of the wrong type; `-x` only warns. volmode and snapdev fit both types.
 */
export const onlyOfFilesystems: ReadonlySet<string> = new Set([
  'aclinherit',
  'aclmode',
  'acltype',
  'atime',
  'canmount',
  'casesensitivity',
  'devices',
  'direct',
  'dnodesize',
  'exec',
  'filesystem_limit',
  'longname',
  'mountpoint',
  'nbmand',
  'normalization',
  'overlay',
  'quota',
  'recordsize',
  'refquota',
  'relatime',
  'setuid',
  'sharenfs',
  'sharesmb',
  'snapdir',
  'special_small_blocks',
  'utf8only',
  'version',
  'vscan',
  'xattr',
  'zoned',
]);

export const onlyOfVolumes: ReadonlySet<string> = new Set(['volblocksize', 'volsize', 'volthreading']);

/** Does the property apply to this type of dataset? True for unknown properties: ZFS checks them. */
export const fits = (property: string, type: 'filesystem' | 'volume'): boolean =>
  !(type === 'volume' ? onlyOfFilesystems : onlyOfVolumes).has(property);
