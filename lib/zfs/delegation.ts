import { datasetOf, parentOf } from '../../schemas/names.ts';

/** What zfs-allow(8) has to give an ordinary user on one dataset, which is then given for all below it too. */
interface Grant {
  readonly permissions: readonly string[];
  readonly dataset: string;
}

/** Options of ours that take a value; all others are single letters. */
const valued = new Set(['-o', '-x', '-i', '-t', '-d']);

interface Command {
  readonly verb: string;
  /** Values of each option that was given, empty ones for those that take none. */
  readonly options: ReadonlyMap<string, readonly string[]>;
  readonly operands: readonly string[];
}

function commandOf([verb = '', ...words]: readonly string[]): Command {
  const options = new Map<string, string[]>();
  const operands: string[] = [];
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? '';
    if (!word.startsWith('-')) {
      operands.push(word);
      continue;
    }
    const values = options.get(word) ?? [];
    options.set(word, values);
    if (valued.has(word)) values.push(words[++at] ?? '');
  }
  return { verb, options, operands };
}

/**
 * `-o readonly=on -o zpsend:x=1`: what is set has a permission of its own, all user properties one together. What `-x` leaves
 * out needs none: who may not set it cannot receive it either.
 */
function propertiesOf({ options }: Command): string[] {
  const set = (options.get('-o') ?? []).map((text) => text.split('=', 1)[0] ?? '');
  return set
    .filter((property) => property !== 'origin')
    .map((property) => (property.includes(':') ? 'userprop' : property));
}

const above = (dataset: string): string => parentOf(dataset) ?? dataset;

function grantsOf(command: Command): Grant[] {
  const { verb, options, operands } = command;
  const on = (permissions: string[], names: readonly string[]) =>
    names.map((name) => ({ permissions, dataset: datasetOf(name) }));
  switch (verb) {
    case 'send':
      return on(['send'], operands);
    case 'hold':
    case 'release':
      return on(['hold', 'release'], operands.slice(1));
    case 'bookmark':
      return on(['bookmark'], operands.slice(0, 1));
    case 'destroy':
      return operands.flatMap((name) => on(name.includes('#') ? ['destroy'] : ['destroy', 'mount'], [name]));
    case 'rollback':
      return on(['rollback', 'mount'], operands);
    case 'rename':
      return on(['rename', 'create', 'mount'], operands.map(datasetOf).map(above));
    case 'create':
      return on(['create', 'mount', ...propertiesOf(command)], operands.map(above));
    case 'receive':
      // of a new dataset nothing stays, nor what was given on it
      if (options.has('-A')) return on(['destroy', 'mount'], operands.map(above));
      return on(['receive', 'create', 'mount', ...propertiesOf(command)], operands.map(datasetOf).map(above));
    default:
      return [];
  }
}

const quoted = (name: string): string => (/^[\w./:-]+$/.test(name) ? name : `"${name}"`);

/**
 * The `zfs allow` command that gives an ordinary user what this command of ours needs, ready to be run; undefined where nothing
 * can be given. The permissions are those of docs/delegation.md, zfs-allow(8), and what the kernel checks (zfs_ioctl.c).
 * @param argv of `zfs`, as it was run
 */
export function allowLine(argv: readonly string[], user: string): string | undefined {
  const byDataset = new Map<string, Set<string>>();
  for (const { permissions, dataset } of grantsOf(commandOf(argv))) {
    const all = byDataset.get(dataset) ?? new Set();
    byDataset.set(dataset, all);
    for (const permission of permissions) all.add(permission);
  }
  const lines = [...byDataset].map(
    ([dataset, permissions]) => `zfs allow -u ${quoted(user)} ${[...permissions].join(',')} ${quoted(dataset)}`,
  );
  return lines.length > 0 ? lines.join(' && ') : undefined;
}
