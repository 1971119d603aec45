import { z } from 'zod';

/**
 * The most elements of a name that `zfs create` and `zfs rename` accept (`zfs_max_dataset_nesting` of zfs(4)). `zfs receive` creates
 * deeper ones (test/contract/placeholder.test.ts).
 */
export const maxElements = 50;
/** ZFS_MAX_DATASET_NAME_LEN is 256 with the terminating NUL (zfs(8), "pool/dataset@snapshot"). */
export const maxNameLength = 255;

// zfs_namecheck.c: components contain letters, digits and "-_.: "; a pool begins with a letter; "." and ".." are refused
const component = '(?!\\.{1,2}(?:[/@#]|$))[A-Za-z0-9_.: -]+';
const dataset = `(?=[A-Za-z])${component}(?:/${component})*`;
const leaf = '(?!\\.{1,2}$)[A-Za-z0-9_.: -]+';

const name = (pattern: string, what: string) =>
  z
    .string()
    .max(maxNameLength, `longer than ${maxNameLength} characters`)
    .regex(new RegExp(`^${pattern}$`), `not a ${what}`)
    .meta({ title: what.replace(/ \(.*/, '') });

/** A host name: one subject token. `_fan` is reserved for streams that several hosts receive. */
export const hostSchema = z
  .string()
  .regex(/^(?!_fan$)[A-Za-z0-9_-]{1,64}$/, 'not a host: letters, digits, "_" and "-" only, and not "_fan"')
  .meta({ title: 'host' });
/** The `jetstream { domain }` of nats-server: one subject token. */
export const jetStreamDomainSchema = z
  .string()
  .regex(/^[A-Za-z0-9_-]{1,64}$/, 'not a JetStream domain: letters, digits, "_" and "-" only')
  .meta({ title: 'JetStream domain' });
export const datasetSchema = name(dataset, 'dataset name (pool/dataset)');
/** The planned name of a dataset, which may be too long for ZFS: one name appended to another. */
export const wouldBeDatasetSchema = z.string().max(2 * maxNameLength + 1);
/** `pool/dataset@snapshot` */
export const snapshotSchema = name(`${dataset}@${leaf}`, 'snapshot name (pool/dataset@snapshot)');
/** `pool/dataset` or `pool/dataset@snapshot` */
export const datasetOrSnapshotSchema = name(`${dataset}(?:@${leaf})?`, 'dataset or snapshot name');
/** The part after `@` or `#`. */
export const leafSchema = name(leaf, 'snapshot or bookmark name');
/** The base of one incremental: `@snapshot` or `#bookmark`. */
export const baseSchema = name(`[@#]${leaf}`, 'base (@snapshot or #bookmark)');

/** A target in short form: `HOST`, or `HOST:pool/dataset`. A host name has no colon, so the first colon ends it. */
export const placeSchema = z
  .string()
  .max(64 + 1 + maxNameLength)
  .regex(new RegExp(`^(?!_fan(?::|$))[A-Za-z0-9_-]{1,64}(?::${dataset})?$`), 'not HOST or HOST:pool/dataset')
  .meta({ title: 'HOST or HOST:DATASET' });

/** A pattern of dataset or snapshot names: `*` and `?` match within one element, `**` across elements. */
export const patternSchema = z
  .string()
  .min(1, 'empty')
  .max(maxNameLength, `longer than ${maxNameLength} characters`)
  .regex(/^[A-Za-z0-9_.: /*?-]+$/, 'not a pattern: the characters of a name, and "*", "?" and "**"')
  .meta({ title: 'name pattern' });

/** 64-bit, so a decimal string on the wire. */
export const guidSchema = z.string().regex(/^[0-9]{1,20}$/, 'not a guid: a decimal string');
export const txgSchema = z.string().regex(/^[0-9]{1,20}$/, 'not a txg: a decimal string');
export const bytesSchema = z.number().int().nonnegative();
/** A time in UTC, by the clock of the host that writes it. */
export const timeSchema = z.iso.datetime().meta({ title: 'time in UTC' });
/** Job, transfer and instance ids: a subject token, safe in a hold tag. */
export const idSchema = z
  .string()
  .regex(/^[A-Za-z0-9]{6,32}$/, 'not an id')
  .meta({ title: 'id' });
export const tokenSchema = z
  .string()
  .max(65536)
  .regex(/^[0-9a-f-]+$/, 'not a resume token');
export const propertySchema = z.string().regex(/^[a-z0-9_:.-]{1,255}$/i, 'not a property name');
export const propertyValueSchema = z
  .string()
  .max(8191)
  // biome-ignore lint/suspicious/noControlCharactersInRegex: a value with control characters is refused
  .regex(/^[^\x00-\x1f]*$/, 'contains a control character')
  .meta({ title: 'value' });

/** `pool/a@x` to `pool/a`; returns a dataset unchanged. */
export const datasetOf = (named: string): string => named.split(/[@#]/, 1)[0] ?? named;
/** `pool/a@x` to `x`; undefined for a dataset. */
export const leafOf = (named: string): string | undefined => named.split(/[@#]/, 2)[1];
/** `pool/a/b` to `pool/a`; undefined for a pool. */
export const parentOf = (dataset: string): string | undefined =>
  dataset.includes('/') ? dataset.slice(0, dataset.lastIndexOf('/')) : undefined;
/** The number of elements in a dataset's name: 2 for `pool/a`. */
export const elementsOf = (dataset: string): number => dataset.split('/').length;
/** `pool/a@x` to `pool`. */
export const poolOf = (named: string): string => datasetOf(named).split('/', 1)[0] ?? named;
/** Is `dataset` equal to `prefix`, or its descendant? `tank/ab` is not a descendant of `tank/a`. */
export const isWithin = (dataset: string, prefix: string): boolean =>
  dataset === prefix || dataset.startsWith(`${prefix}/`);
