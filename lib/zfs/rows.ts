import { ZpsendError } from '../../schemas/errors.ts';
import { datasetOf, isWithin } from '../../schemas/names.ts';

/**
 * What `zfs` printed is not what was asked for, so nothing of it is believed. ZFS prints the values of user properties and the tags of holds
 * as they are, and whoever may set one can put a tab or a line break into it.
 */
export const unreadable = (why: string, look: string): ZpsendError =>
  new ZpsendError('INTERNAL', `what ZFS printed cannot be trusted: ${why}. ${look}`, { reason: 'unreadable' });

/** Calls back with the tab-separated fields of each line; no array of all lines is made. */
export function eachRow(stdout: string, row: (fields: string[]) => void): void {
  for (let start = 0; start < stdout.length; ) {
    const newline = stdout.indexOf('\n', start);
    const end = newline < 0 ? stdout.length : newline;
    if (end > start) row(stdout.slice(start, end).split('\t'));
    start = end + 1;
  }
}

/** Which names a listing may bring: exactly those, or a dataset with all that lies below it; undefined: any. */
export type Asked = ReadonlySet<string> | string | undefined;

const shown = (text: string): string => JSON.stringify(text.slice(0, 300));

const isAsked = (name: string, asked: Asked): boolean =>
  asked === undefined || (typeof asked === 'string' ? isWithin(datasetOf(name), asked) : asked.has(name));

const kinds: Readonly<Record<string, RegExp>> = {
  filesystem: /^[^@#]+$/,
  volume: /^[^@#]+$/,
  snapshot: /^[^@#]+@[^@#]+$/,
  bookmark: /^[^@#]+#[^@#]+$/,
};

/**
 * The rows of `zfs list -Hp -o <columns>`: each of so many fields, of a type and name that fit, once, and asked for. None of the columns may be a
 * user property.
 * @throws ZpsendError INTERNAL at the first row that is not so
 */
export function eachListed<Column extends string>(
  stdout: string,
  columns: readonly Column[],
  asked: Asked,
  row: (field: (column: Column) => string | undefined) => void,
): void {
  const index = new Map<string, number>(columns.map((column, at) => [column, at]));
  const names = new Set<string>();
  eachRow(stdout, (fields) => {
    const field = (column: string): string | undefined => fields[index.get(column) ?? -1];
    const [name, type] = [field('name') ?? '', field('type') ?? ''];
    const why =
      fields.length !== columns.length
        ? `a row of ${fields.length} fields, not ${columns.length}`
        : !kinds[type]?.test(name)
          ? `a row of type ${shown(type)}`
          : names.has(name)
            ? 'a second row'
            : isAsked(name, asked)
              ? undefined
              : 'a row that was not asked for';
    if (why !== undefined) throw unreadable(`${why} begins with ${shown(name)}`, 'Look at it with zfs list');
    names.add(name);
    row(field);
  });
}

/**
 * `zfs get -Hp -o name,property,value`, by name. Every value has one row of its own, so a value that forges another one's row shows as a second.
 * @throws ZpsendError INTERNAL where a row is not of three fields, is there twice, or was not asked for
 */
export function parseProperties(
  stdout: string,
  properties: readonly string[],
  asked: Asked,
): Map<string, Record<string, string>> {
  const values = new Map<string, Record<string, string>>();
  // of each row the one before it, whose value may have made it
  const before = new Map<string, string>();
  let last = 'the first rows';
  eachRow(stdout, (fields) => {
    const [name = '', property = '', value = ''] = fields;
    const known = values.get(name) ?? {};
    const fits = fields.length === 3 && properties.includes(property) && isAsked(name, asked);
    const id = `${property} of ${shown(name)}`;
    if (!fits || Object.hasOwn(known, property)) {
      const itself = properties.includes(property) && isAsked(name, asked);
      const suspects = new Set([last, ...(fits ? [before.get(id) ?? last] : itself ? [id] : [])]);
      throw unreadable(
        `a user property holds a tab or a line break: ${[...suspects].join(', or ')}`,
        'Look with zfs get, and remove it with: zfs inherit PROPERTY DATASET',
      );
    }
    before.set(id, last);
    last = id;
    values.set(name, { ...known, [property]: value });
  });
  return values;
}
