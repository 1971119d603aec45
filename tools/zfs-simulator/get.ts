import { type ItemType, nameOf, shownValue } from './columns.ts';
import { table } from './format.ts';
import { getopt } from './getopt.ts';
import { parseProperties, parseTypes } from './list.ts';
import { complain, print } from './output.ts';
import { usage } from './refusal.ts';
import { byName, walk } from './walk.ts';

const SYNOPSIS = `get [-rHp] [-d max] [-o "all" | field[,...]]
\t    [-t type[,...]] [-s source[,...]]
\t    <"all" | property[,...]> [filesystem|volume|snapshot|bookmark] ...`;

/** The properties in `zfs get all`. */
const ALL =
  'type,creation,used,available,referenced,origin,mounted,quota,recordsize,mountpoint,compression,readonly,canmount,volsize,createtxg,guid,userrefs,written,encryption,keystatus,encryptionroot,receive_resume_token';

/** `zfs get`. */
export function get(argv: readonly string[]): number {
  const { given, operands } = getopt(argv, 'rHpd:o:s:t:', SYNOPSIS);
  const [wanted, ...names] = operands;
  if (wanted === undefined) throw usage('missing property argument', SYNOPSIS);
  const properties = parseProperties(wanted === 'all' ? ALL : wanted, SYNOPSIS);
  const fields = (given.get('o')?.at(-1) ?? 'name,property,value,source')
    .replace('all', 'name,property,value,received,source')
    .split(',');
  const odd = fields.find((field) => !['name', 'property', 'value', 'source', 'received'].includes(field));
  if (odd !== undefined) throw usage(`invalid column name '${odd}'`, SYNOPSIS);
  const typeList = given.get('t');
  const types: Set<ItemType> = typeList
    ? parseTypes(typeList, SYNOPSIS)
    : new Set(['filesystem', 'volume', 'snapshot', 'bookmark']);
  const limit = given.get('d')?.at(-1);
  const depth =
    limit !== undefined ? Number(limit) : given.has('r') || names.length === 0 ? Number.POSITIVE_INFINITY : 0;
  const { items, refusals } = walk({ operands: names, types, depth });
  items.sort(byName);
  const sources = given.get('s')?.flatMap((word) => word.split(','));
  const rows = items.flatMap((item) =>
    properties.flatMap((property) => {
      const { value, source } = shownValue(item, property, given.has('p'));
      if (wanted === 'all' && value === '-' && source === '-') return [];
      if (sources !== undefined && !sources.includes(source === '-' ? 'none' : (source.split(' ')[0] ?? ''))) return [];
      const row: Readonly<Record<string, string>> = { name: nameOf(item), property, value, source, received: '-' };
      return [fields.map((field) => row[field] ?? '-')];
    }),
  );
  complain(refusals.map((refusal) => `${refusal.message}\n`).join(''));
  if (given.has('H')) print(rows.map((row) => `${row.join('\t')}\n`).join(''));
  else if (rows.length > 0)
    print(
      table(
        fields.map((field) => field.toUpperCase()),
        rows,
        new Set(),
      ),
    );
  return refusals.length > 0 ? 1 : 0;
}
