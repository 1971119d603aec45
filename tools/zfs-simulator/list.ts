import { type Item, type ItemType, isRightAligned, nameOf, propertyName, shownValue, titleOf } from './columns.ts';
import { table } from './format.ts';
import { getopt } from './getopt.ts';
import { complain, print } from './output.ts';
import { usage } from './refusal.ts';
import { byName, walk } from './walk.ts';

const SYNOPSIS = `list [-Hp] [-r|-d max] [-o property[,...]] [-s property]...
\t    [-S property]... [-t type[,...]] [filesystem|volume|snapshot] ...`;

const TYPES: Readonly<Record<string, readonly ItemType[]>> = {
  filesystem: ['filesystem'],
  fs: ['filesystem'],
  volume: ['volume'],
  vol: ['volume'],
  snapshot: ['snapshot'],
  snap: ['snapshot'],
  bookmark: ['bookmark'],
  all: ['filesystem', 'volume', 'snapshot', 'bookmark'],
};

/** The types of `-t`, or wrong usage. */
export function parseTypes(words: readonly string[], synopsis: string): Set<ItemType> {
  return new Set(
    words
      .flatMap((word) => word.split(','))
      .flatMap((word) => {
        const types = TYPES[word];
        if (types === undefined) throw usage(`invalid type '${word}'`, synopsis);
        return types;
      }),
  );
}

/** The properties of a comma-separated list, or wrong usage. */
export function parseProperties(list: string, synopsis: string): string[] {
  return list.split(',').map((word) => {
    const name = propertyName(word);
    if (name === undefined) throw usage(`bad property list: invalid property '${word}'`, synopsis);
    return name;
  });
}

/** `zfs list`. @returns the exit status; lists the known operands even if one is unknown. */
export function list(argv: readonly string[]): number {
  const { given, operands } = getopt(argv, 'HPprd:o:s:S:t:', SYNOPSIS);
  const typeList = given.get('t');
  const types: Set<ItemType> = typeList ? parseTypes(typeList, SYNOPSIS) : new Set(['filesystem', 'volume']);
  if (typeList === undefined && operands.some((operand) => operand.includes('@'))) types.add('snapshot');
  const columns = parseProperties(given.get('o')?.at(-1) ?? 'name,used,available,referenced,mountpoint', SYNOPSIS);
  // only a listing of snapshots or of bookmarks descends to them without -r or -d
  const onlyTails = types.size === 1 && (types.has('snapshot') || types.has('bookmark'));
  const limit = given.get('d')?.at(-1);
  const depth =
    limit !== undefined
      ? Number(limit)
      : given.has('r') || operands.length === 0
        ? Number.POSITIVE_INFINITY
        : onlyTails
          ? 1
          : 0;
  const { items, refusals } = walk({ operands, types, depth });
  items.sort(order(given.get('s') ?? [], given.get('S') ?? []));
  for (const refusal of refusals) complain(`${refusal.message}\n`);
  const exact = given.has('p');
  if (given.has('H')) printLines(items, columns, exact);
  else if (items.length > 0) printTable(items, columns, exact);
  else if (refusals.length === 0) complain('no datasets available\n');
  return refusals.length > 0 ? 1 : 0;
}

function order(ascending: readonly string[], descending: readonly string[]): (left: Item, right: Item) => number {
  const keys = [
    ...parseKeys(ascending).map((name) => ({ name, sign: 1 })),
    ...parseKeys(descending).map((name) => ({ name, sign: -1 })),
  ];
  if (keys.length === 0) return byName;
  return (left, right) => {
    for (const { name, sign } of keys) {
      const difference = sign * compare(left, right, name);
      if (difference !== 0) return difference;
    }
    return byName(left, right);
  };
}

const parseKeys = (words: readonly string[]): string[] => words.flatMap((word) => parseProperties(word, SYNOPSIS));

function compare(left: Item, right: Item, name: string): number {
  if (name === 'name') return byName(left, right);
  const one = shownValue(left, name, true).value;
  const other = shownValue(right, name, true).value;
  if (one === other) return 0;
  if (/^\d+$/.test(one) && /^\d+$/.test(other)) return BigInt(one) < BigInt(other) ? -1 : 1;
  return one < other ? -1 : 1;
}

/** Tab-separated lines, written in pieces so that a listing of any length takes little memory. */
function printLines(items: readonly Item[], columns: readonly string[], exact: boolean): void {
  let text = '';
  for (const item of items) {
    text += `${columns.map((name) => shownValue(item, name, exact).value).join('\t')}\n`;
    if (text.length < 65_536) continue;
    print(text);
    text = '';
  }
  if (text !== '') print(text);
}

function printTable(items: readonly Item[], columns: readonly string[], exact: boolean): void {
  const right = new Set(columns.flatMap((name, at) => (isRightAligned(name) ? [at] : [])));
  const rows = items.map((item) =>
    columns.map((name) => (name === 'name' ? nameOf(item) : shownValue(item, name, exact).value)),
  );
  print(table(columns.map(titleOf), rows, right));
}
