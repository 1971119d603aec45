import { ZpsendError } from '../../schemas/errors.ts';
import { datasetOf, isWithin } from '../../schemas/names.ts';

/**
 * The output of `zfs` has an unexpected row, so none of it is used. ZFS prints values of user properties and tags of holds
 * unescaped, so a user can forge rows with a tab or a line break.
 */
export const unreadable = (why: string, advice: string): ZpsendError =>
  new ZpsendError('INTERNAL', `the output of zfs cannot be trusted: ${why}. ${advice}`, { reason: 'unreadable' });

/** Calls back with the tab-separated fields of each line, without an array of all lines. */
export function eachRow(stdout: string, row: (fields: string[]) => void): void {
  for (let start = 0; start < stdout.length; ) {
    const newline = stdout.indexOf('\n', start);
    const end = newline < 0 ? stdout.length : newline;
    if (end > start) row(stdout.slice(start, end).split('\t'));
    start = end + 1;
  }
}

/** The names that a listing may contain: these, or a dataset with its descendants; undefined: any. */
export type ExpectedNames = ReadonlySet<string> | string | undefined;

const shown = (text: string): string => JSON.stringify(text.slice(0, 300));

const isExpected = (name: string, expected: ExpectedNames): boolean =>
  expected === undefined || (typeof expected === 'string' ? isWithin(datasetOf(name), expected) : expected.has(name));

const kinds: Readonly<Record<string, RegExp>> = {
  filesystem: /^[^@#]+$/,
  volume: /^[^@#]+$/,
  snapshot: /^[^@#]+@[^@#]+$/,
  bookmark: /^[^@#]+#[^@#]+$/,
};

/**
 * The rows of `zfs list -Hp -o <columns>`, none of which may be a user property.
 * @throws ZpsendError INTERNAL for a row with a wrong number of fields, a type that does not fit the name, or a repeated or
 * unexpected name
 */
export function eachListed<Column extends string>(
  stdout: string,
  columns: readonly Column[],
  expected: ExpectedNames,
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
            : isExpected(name, expected)
              ? undefined
              : 'an unexpected row';
    if (why !== undefined) throw unreadable(`${why} begins with ${shown(name)}`, 'Check it with zfs list');
    names.add(name);
    row(field);
  });
}

/**
 * `zfs get -Hp -o name,property,value`, by name. Every value has one row, so a forged row of another value appears as a second one.
 * @throws ZpsendError INTERNAL for a row without three fields, and for a repeated or unexpected row
 */
export function parseProperties(
  stdout: string,
  properties: readonly string[],
  expected: ExpectedNames,
): Map<string, Record<string, string>> {
  const values = new Map<string, Record<string, string>>();
  // the row before each row: its value may contain a forged row
  const before = new Map<string, string>();
  let last = 'the first rows';
  eachRow(stdout, (fields) => {
    const [name = '', property = '', value = ''] = fields;
    const known = values.get(name) ?? {};
    const fits = fields.length === 3 && properties.includes(property) && isExpected(name, expected);
    const id = `${property} of ${shown(name)}`;
    if (!fits || Object.hasOwn(known, property)) {
      const itself = properties.includes(property) && isExpected(name, expected);
      const suspects = new Set([last, ...(fits ? [before.get(id) ?? last] : itself ? [id] : [])]);
      throw unreadable(
        `a user property contains a tab or a line break: ${[...suspects].join(', or ')}`,
        'Find it with zfs get, and remove it with: zfs inherit PROPERTY DATASET',
      );
    }
    before.set(id, last);
    last = id;
    values.set(name, { ...known, [property]: value });
  });
  return values;
}
