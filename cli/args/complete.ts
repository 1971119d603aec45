import type { Argument, Command, Option } from 'commander';

/** A word that a shell may insert, with a short description. */
export interface Candidate {
  readonly value: string;
  readonly description?: string;
}

const kinds = ['source', 'target', 'location', 'host', 'job', 'file'] as const;
/** What a value names. */
type Kind = (typeof kinds)[number];

/** The word at the cursor. */
export interface Slot {
  /** The words that the command line itself knows. */
  readonly words: readonly Candidate[];
  readonly kind?: Kind;
  readonly typed: string;
  /** What stands before `typed` in the same word: `--source=`. */
  readonly before: string;
}

/** The names that a slot needs. */
export interface Needed {
  readonly hosts?: true;
  readonly jobs?: true;
  /** The datasets of a host, or the snapshots of one dataset; without a host, of this one. */
  readonly names?: { readonly host?: string; readonly dataset?: string };
}

/** The names that were found; those that were not looked for are empty. */
export interface Known {
  readonly hosts: readonly string[];
  readonly jobs: readonly Candidate[];
  readonly names: readonly string[];
}

/** @param words those after `zpsend`, without quotes; the last one is being typed */
export function slotOf(root: Command, words: readonly string[]): Slot {
  const typed = words.at(-1) ?? '';
  let [command, position, isOver] = [root, 0, false];
  let pending: Option | undefined;
  for (const word of words.slice(0, -1)) {
    const isValue = pending !== undefined;
    pending = undefined;
    if (isValue) continue;
    if (!isOver && word.startsWith('-')) {
      isOver = word === '--';
      pending = isOver ? undefined : optionBefore(command, word);
      continue;
    }
    const inner = position === 0 ? command.commands.find((one) => one.name() === word) : undefined;
    if (inner) command = inner;
    else position += 1;
  }
  if (pending) return valueSlot(pending, typed, '');
  const [, before = '', long] = (isOver ? null : /^((--[^=]+)=)/.exec(typed)) ?? [];
  const assigned = command.options.find((option) => option.long === long);
  if (assigned) return valueSlot(assigned, typed.slice(before.length), before);
  if (!isOver && typed.startsWith('-')) return { words: optionsOf(command), typed, before: '' };
  if (command.commands.length > 0 && position === 0) return { words: commandsOf(command), typed, before: '' };
  const list = command.registeredArguments;
  const argument = list[position] ?? (list.at(-1)?.variadic ? list.at(-1) : undefined);
  return argument ? argumentSlot(argument, typed) : { words: [], typed, before: '' };
}

const takesValue = ({ required, optional }: Option): boolean => required || optional;

/** The option whose value is the next word: `--bwlimit`, or the last letter of `-Ri`. */
function optionBefore({ options }: Command, word: string): Option | undefined {
  if (word.startsWith('--')) return options.find((option) => option.long === word && takesValue(option));
  const letters = [...word.slice(1)].map((letter) => options.find(({ short }) => short === `-${letter}`));
  const first = letters.findIndex((option) => option !== undefined && takesValue(option));
  return first === letters.length - 1 ? letters[first] : undefined;
}

const listed = (choices: readonly string[]): Candidate[] => choices.map((value) => ({ value }));
const kindOf = (name: string): Kind | undefined => kinds.find((kind) => kind === name);

/** The value of an option. In a list with commas, the last one is being typed. */
function valueSlot({ argChoices = [], flags }: Option, typed: string, before: string): Slot {
  const [, name = '', more = ''] = /[<[]([^,>\]]+)(,?)/.exec(flags) ?? [];
  const cut = more === '' ? 0 : typed.lastIndexOf(',') + 1;
  const kind = kindOf(name);
  return {
    words: listed(argChoices),
    ...(kind && { kind }),
    typed: typed.slice(cut),
    before: before + typed.slice(0, cut),
  };
}

function argumentSlot(argument: Argument, typed: string): Slot {
  const kind = kindOf(argument.name());
  return { words: listed(argument.argChoices ?? []), ...(kind && { kind }), typed, before: '' };
}

const optionsOf = (command: Command): Candidate[] =>
  command
    .createHelp()
    .visibleOptions(command)
    .flatMap(({ long, short, description }) => {
      const value = long ?? short;
      return value === undefined ? [] : [{ value, description }];
    });

const commandsOf = (command: Command): Candidate[] =>
  command
    .createHelp()
    .visibleCommands(command)
    .map((inner) => ({ value: inner.name(), description: inner.summary() || inner.description() }));

/** `HOST:` and what follows it. A colon ends a host only before any `/`, `@` or `#`; an empty host is this one. */
function split(typed: string): { prefix: string; host: string | undefined; rest: string } {
  const prefix = /^[^/@#:]*:/.exec(typed)?.[0] ?? '';
  return { prefix, host: prefix === '' ? undefined : prefix.slice(0, -1), rest: typed.slice(prefix.length) };
}

/** The names to look for, before candidatesOf. */
export function neededFor({ kind, typed }: Slot): Needed {
  const { host, rest } = split(typed);
  if (kind === 'host') return { hosts: true };
  if (kind === 'job') return { jobs: true };
  if (kind === undefined || kind === 'file') return {};
  const dataset = kind === 'source' ? /^([^@]+)@/.exec(rest)?.[1] : undefined;
  if (kind === 'target' && host === undefined) return { hosts: true };
  return {
    ...(host === undefined && dataset === undefined && { hosts: true }),
    names: { ...(host && { host }), ...(dataset !== undefined && { dataset }) },
  };
}

/** The candidates for a slot, by their names: whole words that begin with what was typed. */
export function candidatesOf(slot: Slot, { hosts, jobs, names }: Known): Candidate[] {
  const { words, kind, typed, before } = slot;
  const { prefix, host } = split(typed);
  // without a colon before it, the part of this name up to its colon would be a host
  const own = names.map((name) => ({ value: prefix === '' && split(name).prefix !== '' ? `:${name}` : prefix + name }));
  const places = host === undefined ? hosts.map((name) => ({ value: kind === 'source' ? `${name}:` : name })) : [];
  const byKind: Record<Kind, readonly Candidate[]> = {
    source: [...places, ...own],
    target: [...places, ...own],
    location: [...places, ...own],
    host: places,
    job: jobs,
    file: [],
  };
  const all = [...words, ...(kind ? byKind[kind] : [])];
  const found = new Map(
    all.filter(({ value }) => value.startsWith(typed)).map((one) => [one.value, { ...one, value: before + one.value }]),
  );
  return [...found.values()];
}
