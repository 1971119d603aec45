import { datasetOf, parentOf } from '../../schemas/names.ts';

/** Permissions that zfs-allow(8) has to grant on one dataset; its descendants inherit them. */
interface Grant {
  readonly permissions: readonly string[];
  readonly dataset: string;
}

/** The options of zpsend's command lines that take a value. */
const valued = new Set(['-o', '-x', '-i', '-t', '-d']);

interface Command {
  readonly verb: string;
  /** Values of each option; empty for an option without a value. */
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
 * `-o readonly=on -o zpsend:x=1`: each native property has its own permission, and all user properties share `userprop`.
 * `-x` needs none: without the permission to set a property, ZFS does not receive it either.
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
      // a new dataset is destroyed, with the permissions granted on it
      if (options.has('-A')) return on(['destroy', 'mount'], operands.map(above));
      return on(['receive', 'create', 'mount', ...propertiesOf(command)], operands.map(datasetOf).map(above));
    default:
      return [];
  }
}

const quoted = (name: string): string => (/^[\w./:-]+$/.test(name) ? name : `"${name}"`);

/**
 * The `zfs allow` command line that grants an ordinary user the permissions for this command; undefined if delegation does not
 * apply. The permissions are those of docs/guides/run-without-root.md, zfs-allow(8), and the kernel's checks (zfs_ioctl.c).
 * @param argv of `zfs`, as zpsend ran it
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
