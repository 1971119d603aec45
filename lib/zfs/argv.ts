import { rollbackMarkSchema } from '../../schemas/conflict.ts';
import { ZpsendError } from '../../schemas/errors.ts';
import {
  baseSchema,
  datasetOf,
  datasetSchema,
  guidSchema,
  maxNameLength,
  propertySchema,
  propertyValueSchema,
  snapshotSchema,
  tokenSchema,
} from '../../schemas/names.ts';
import type { StreamFlag } from '../../schemas/stream.ts';
import { streamFlagArgv } from './stream-flags.ts';

/** What `zfs send` makes: one full stream, one `-i` incremental, or the rest of an interrupted one. */
export type StreamRequest = { to: string; from?: string; flags?: readonly StreamFlag[] } | { token: string };

export interface ReceiveRequest {
  dataset: string;
  /** The part after `@` of the only snapshot that the stream may contain. */
  snapshot?: string;
  /** `-s`, unless false: an interrupted receive keeps its partial state. Needs the pool feature extensible_dataset. */
  resumable?: boolean;
  /** The snapshot on this host that a clone is received onto. */
  origin?: string;
  /** `-o property=value` */
  set: Record<string, string>;
  /** `-x property` */
  exclude: string[];
}

/** Columns that every listing has. A user property cannot be a column: ZFS prints a line break in its value as it is. */
export const requiredColumns = ['name', 'type', 'guid', 'createtxg'] as const;
export const optionalColumns = [
  'used',
  'referenced',
  'written',
  'userrefs',
  'origin',
  'encryption',
  'keystatus',
  'receive_resume_token',
  'encryptionroot',
  'keyformat',
  'pbkdf2salt',
  'pbkdf2iters',
  'ivsetguid',
  'redact_snaps',
  'canmount',
  'available',
  'refquota',
] as const;
/** Only on request: listings of many snapshots cross the network. */
export const creationColumn = 'creation';
export type Column = (typeof requiredColumns)[number] | (typeof optionalColumns)[number] | typeof creationColumn;

const types = 'filesystem,volume,snapshot,bookmark';

/** Every value that becomes an argument passes here, before a process starts (I10). @throws ZpsendError BAD_REQUEST */
function accept(schema: typeof datasetSchema, value: string, what: string): string {
  const parsed = schema.safeParse(value);
  if (parsed.success && !value.startsWith('-')) return value;
  const why = parsed.success ? 'begins with "-"' : (parsed.error.issues[0]?.message ?? 'not valid');
  throw new ZpsendError('BAD_REQUEST', `${what} ${JSON.stringify(value.slice(0, 300))} is refused: ${why}`);
}

export const checkDataset = (value: string): string => accept(datasetSchema, value, 'dataset');
export const checkSnapshot = (value: string): string => accept(snapshotSchema, value, 'snapshot');
const checkToken = (value: string): string => accept(tokenSchema, value, 'resume token');

/** `pool/a@x` or `pool/a#bm` */
export function checkBase(value: string): string {
  const dataset = datasetOf(value);
  checkDataset(dataset);
  accept(baseSchema, value.slice(dataset.length), 'base');
  return value;
}

/** A dataset, a snapshot or a bookmark. */
export const checkName = (value: string): string => (/[@#]/.test(value) ? checkBase(value) : checkDataset(value));

/** Accepts only zpsend's own bookmarks, `pool/a#zpsend_...`. @throws ZpsendError BAD_REQUEST */
function checkOwnBookmark(value: string): string {
  const known = /#zpsend_[A-Za-z0-9_-]+$/.test(checkBase(value)) && value.length <= maxNameLength;
  if (known) return value;
  throw new ZpsendError('BAD_REQUEST', `${JSON.stringify(value.slice(0, 300))} is refused: not a bookmark of zpsend's`);
}

/** A hold's tag, for example `zpsend:<job>`; zfs-hold(8) limits only its length. @throws ZpsendError BAD_REQUEST */
function checkTag(tag: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9_.:-]{0,254}$/.test(tag)) return tag;
  throw new ZpsendError('BAD_REQUEST', `hold tag ${JSON.stringify(tag.slice(0, 300))} is refused`);
}

/** Without `-r`, `-d 1` lists a dataset's own snapshots and bookmarks, and its child datasets, which the parser drops. */
export function listArgv(what: { dataset?: string; recursive?: boolean }, columns: readonly Column[]): string[] {
  const argv = ['list', '-Hp', '-t', types, '-o', columns.join(',')];
  if (what.dataset === undefined) return argv;
  return [...argv, ...(what.recursive ? ['-r'] : ['-d', '1']), checkDataset(what.dataset)];
}

/** The columns from which a lag is computed. */
export const lagColumns = [...requiredColumns, 'referenced', 'written', creationColumn] as const;

/** Datasets with their own snapshots and bookmarks; lists their child datasets too, without any. */
export const listEachArgv = (datasets: readonly string[]): string[] => [
  ...['list', '-Hp', '-t', types, '-o', lagColumns.join(','), '-d', '1'],
  ...datasets.map(checkDataset),
];

export function inspectArgv(names: readonly string[], columns: readonly Column[]): string[] {
  return ['list', '-Hp', '-t', types, '-o', columns.join(','), ...names.map(checkName)];
}

/** A full stream whose contents are compared: plain without flags, since a flag may change the bytes, or raw. */
export const contentArgv = (snapshot: string, raw: boolean): string[] => [
  'send',
  ...(raw ? ['-w'] : []),
  checkSnapshot(snapshot),
];

function streamArgv(stream: StreamRequest): string[] {
  // a token carries its stream's flags: adding others breaks the resumption (zettarepl#44)
  if ('token' in stream) return ['-t', checkToken(stream.token)];
  const to = checkSnapshot(stream.to);
  const flags = streamFlagArgv(stream.flags ?? []);
  return stream.from === undefined ? [...flags, to] : [...flags, '-i', checkBase(stream.from), to];
}

/** Exactly one `to` and at most one `from`, by full name: a clone's base lies in another dataset (I2). */
export const sendArgv = (stream: StreamRequest): string[] => ['send', ...streamArgv(stream)];

/** A dry run: prints the size and the contents of a token, and sends nothing. */
export const estimateArgv = (stream: StreamRequest): string[] => ['send', '-nvP', ...streamArgv(stream)];

/**
 * The target is named `dataset@snapshot`: zfs-receive(8) then refuses a stream of several snapshots ("cannot specify
 * snapshot name for multi-snapshot stream"), so a step transfers only its one snapshot, and no child datasets.
 * A resumed stream is received with the same command. Without a snapshot, ZFS takes the name from the stream.
 */
export function receiveArgv(into: ReceiveRequest): string[] {
  const dataset = checkDataset(into.dataset);
  const target = into.snapshot === undefined ? dataset : checkSnapshot(`${dataset}@${into.snapshot}`);
  const argv = ['receive', ...(into.resumable === false ? [] : ['-s']), '-u'];
  if (into.origin !== undefined) argv.push('-o', `origin=${checkSnapshot(into.origin)}`);
  for (const [property, value] of Object.entries(into.set)) {
    accept(propertySchema, property, 'property');
    const refused = propertyValueSchema.safeParse(value).error?.issues[0]?.message;
    if (refused) throw new ZpsendError('BAD_REQUEST', `the value of property ${property} is refused: ${refused}`);
    argv.push('-o', `${property}=${value}`);
  }
  for (const property of into.exclude) argv.push('-x', accept(propertySchema, property, 'property'));
  return [...argv, target];
}

/** `canmount=off` prevents mounting in every release; `-u` is newer. The user property records that zpsend created it. */
export const placeholderArgv = (dataset: string): string[] => [
  'create',
  '-o',
  'canmount=off',
  '-o',
  'zpsend:placeholder=on',
  checkDataset(dataset),
];

/**
 * Snapshots of one dataset, each by its name: `zfs destroy` removes all of them or none (zfs-destroy(8)). Never a dataset and never
 * dependents (I5): only this command line and the one for zpsend's own bookmarks destroy anything.
 */
export function destroySnapshotsArgv(dataset: string, leaves: readonly string[]): string[] {
  const [first = '', ...rest] = leaves;
  const named = checkSnapshot(`${checkDataset(dataset)}@${first}`);
  for (const leaf of rest) checkSnapshot(`${dataset}@${leaf}`);
  return ['destroy', [named, ...rest].join(',')];
}

/** To the newest snapshot: without `-r`, ZFS refuses if anything newer exists. */
export const rollbackArgv = (snapshot: string): string[] => ['rollback', checkSnapshot(snapshot)];
/** Contains the guid because child datasets inherit user properties. */
export const markRollbackArgv = (dataset: string, guid: string, mark: string): string[] => [
  'set',
  `zpsend:rollback=${accept(guidSchema, guid, 'guid')}:${accept(rollbackMarkSchema, mark, 'mark')}`,
  checkDataset(dataset),
];
/** `written@snapshot` of zfsprops(7); does not count data that only intermediate snapshots reference. */
export function writtenSinceArgv(snapshot: string): string[] {
  const dataset = datasetOf(checkSnapshot(snapshot));
  return ['get', '-Hp', '-o', 'value', `written${snapshot.slice(dataset.length)}`, dataset];
}
/** Renames a dataset with its descendants, within its pool. */
export const renameArgv = (from: string, to: string): string[] => ['rename', checkDataset(from), checkDataset(to)];

export const abortReceiveArgv = (dataset: string): string[] => ['receive', '-A', checkDataset(dataset)];
export const holdArgv = (tag: string, snapshots: readonly string[]): string[] => [
  'hold',
  checkTag(tag),
  ...snapshots.map(checkSnapshot),
];
export const releaseArgv = (tag: string, snapshots: readonly string[]): string[] => [
  'release',
  checkTag(tag),
  ...snapshots.map(checkSnapshot),
];
/** Without `-p`, which only OpenZFS 2.2 and later have: the dates are not parsed. */
export const holdsArgv = (snapshots: readonly string[]): string[] => ['holds', '-H', ...snapshots.map(checkSnapshot)];
/** Of a snapshot, or of another bookmark (OpenZFS 2.0 and later). */
export const bookmarkArgv = (of: string, bookmark: string): string[] => [
  'bookmark',
  of.includes('#') ? checkBase(of) : checkSnapshot(of),
  checkOwnBookmark(bookmark),
];
/** Cannot name a dataset or a snapshot. */
export const destroyBookmarkArgv = (bookmark: string): string[] => ['destroy', checkOwnBookmark(bookmark)];
export const propertiesArgv = (datasets: readonly string[], properties: readonly string[]): string[] => [
  'get',
  '-Hp',
  '-o',
  'name,property,value',
  properties.map((property) => accept(propertySchema, property, 'property')).join(','),
  ...datasets.map(checkDataset),
];
/** The user properties that zpsend sets. */
export const ownProperties = ['zpsend:stream', 'zpsend:rollback', 'zpsend:placeholder'] as const;
export type OwnProperty = (typeof ownProperties)[number];

/** Of one dataset, of a dataset with its descendants, or of all. An unset property has a row too, with "-". */
export const ownPropertiesArgv = (what: { dataset?: string; recursive?: boolean }): string[] => [
  ...['get', '-Hp', '-o', 'name,property,value', '-t', 'filesystem,volume'],
  ...(what.dataset !== undefined && what.recursive ? ['-r'] : []),
  ownProperties.join(','),
  ...(what.dataset === undefined ? [] : [checkDataset(what.dataset)]),
];

export const versionArgv: string[] = ['version'];
export const poolsArgv: string[] = ['list', '-Hp', '-o', 'name,size,allocated,free,health,readonly'];
/** Of one pool, or of all. `all`, because ZFS refuses the name of a feature that its release does not know. */
export const poolPropertiesArgv = (pool: string | undefined): string[] => [
  'get',
  '-Hp',
  '-o',
  'name,property,value',
  'all',
  ...(pool === undefined ? [] : [checkDataset(pool)]),
];
