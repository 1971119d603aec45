/**
 * Settable properties that only filesystems, and that only volumes have: "property types" of zfsprops(7), and what
 * zfs_prop.c registers them for. `zfs receive -o` refuses a whole stream for one that does not fit; `-x` only warns.
 * What inherits through filesystems to volumes (volmode, snapdev) fits both. test/contract/properties.test.ts asks ZFS.
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

/** Has the property a meaning for the dataset's type? What is not known here is for ZFS to judge. */
export const fits = (property: string, type: 'filesystem' | 'volume'): boolean =>
  !(type === 'volume' ? onlyOfFilesystems : onlyOfVolumes).has(property);
