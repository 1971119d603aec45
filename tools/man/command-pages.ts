import { configPaths } from '../../lib/settings/config-file.ts';
import { version } from '../../lib/settings/version.ts';
import { type CommandText, programText, withInner } from '../reference/commands.ts';
import { variableRows } from '../reference/environment.ts';
import { exitRows } from '../reference/exit-codes.ts';
import { exitWords, type HelpBlock } from '../reference/help-blocks.ts';
import { bold, escaped, italic, line, literal, macro, prose, tagged, title, withValues } from './roff.ts';

const manual = 'zpsend Manual';

/** `zpsend-store-get` */
const pageName = (path: string): string => path.replaceAll(' ', '-');
const reference = (name: string, section: number): string => `${bold(name)}(${section})`;

/** Titles of help texts that have a section of their own in a manual page. */
const sectionTitles: Readonly<Record<string, string>> = {
  Example: 'EXAMPLES',
  Examples: 'EXAMPLES',
  Environment: 'ENVIRONMENT',
};

type Section = 'NOTES' | 'EXIT STATUS' | 'ENVIRONMENT' | 'EXAMPLES';

function sectionOf(block: HelpBlock): string {
  if (block.kind === 'paragraph') return block.text.startsWith(exitWords) ? 'EXIT STATUS' : 'NOTES';
  return sectionTitles[block.title ?? ''] ?? 'NOTES';
}

function roffOf(block: HelpBlock): string[] {
  if (block.kind === 'paragraph') return ['.PP', line(block.text)];
  const isSection = block.title === undefined || block.title in sectionTitles;
  return [...(isSection ? [] : [macro('SS', block.title ?? '')]), ...literal(block.lines)];
}

/** A section, with its lines; none without lines. */
const section = (name: string, lines: readonly string[]): string[] =>
  lines.length > 0 ? [macro('SH', name), ...lines] : [];

const blocksIn = ({ blocks }: CommandText, name: Section): string[] =>
  blocks.filter((block) => sectionOf(block) === name).flatMap(roffOf);

function optionLines({ options }: CommandText): string[] {
  const groups = [...Map.groupBy(options, ({ heading }) => heading)];
  return groups.flatMap(([heading, some]) => [
    ...(groups.length > 1 ? [macro('SS', heading)] : []),
    ...some.flatMap(({ term, description }) => tagged(withValues(term), line(description))),
  ]);
}

function commandLines(inner: readonly CommandText[]): string[] {
  const groups = [...Map.groupBy(inner, ({ group }) => group)];
  return groups.flatMap(([group, some]) => [
    ...(groups.length > 1 ? [macro('SS', group)] : []),
    ...some.flatMap(({ path, summary }) => tagged(reference(pageName(path), 1), line(summary))),
  ]);
}

const exitLines = exitRows().flatMap(([status, means]) => tagged(bold(String(status)), line(means)));

function environmentLines(): string[] {
  return variableRows().flatMap(([name, { means, default: initial }]) =>
    tagged(bold(name), prose(`${means}${initial === undefined ? '' : ` Default: ${initial}.`}`)),
  );
}

const fileLines = [
  ...tagged(configPaths.map(italic).join(', '), line('The configuration file.')),
  ...tagged(italic('/etc/zpsend/env'), line('Environment variables of the services and commands.')),
];

/** The pages that a page refers to: the program, its parent, its inner commands, and the configuration. */
function seeAlso({ path, inner }: CommandText): string[] {
  const parts = path.split(' ');
  const above = parts.slice(1).map((_, at) => parts.slice(0, at + 1).join(' '));
  const names = [...above, ...inner.map((one) => one.path)].map((one) => reference(pageName(one), 1));
  return [[...names, reference('zpsend.yaml', 5), reference('zfs', 8)].join(', ')];
}

function pageOf(command: CommandText): string {
  const { path, usage, summary, description, inner } = command;
  const isProgram = !path.includes(' ');
  const own = blocksIn(command, 'EXIT STATUS');
  const lines = [
    title(pageName(path), 1, version, manual),
    '.nh',
    '.ad l',
    ...section('NAME', [
      `${escaped(pageName(path))} \\- ${escaped(summary === '' ? 'replicate ZFS snapshots over NATS' : summary)}`,
    ]),
    ...section('SYNOPSIS', [`${bold(path)}${withValues(usage.slice(path.length))}`]),
    ...section('DESCRIPTION', [line(description)]),
    ...section('COMMANDS', commandLines(inner)),
    ...section(
      'ARGUMENTS',
      command.arguments.flatMap(({ term, description: what }) => tagged(italic(term), line(what))),
    ),
    ...section('OPTIONS', optionLines(command)),
    ...section('NOTES', blocksIn(command, 'NOTES')),
    ...section('EXIT STATUS', isProgram || own.length === 0 ? [...own, ...exitLines] : own),
    ...section('ENVIRONMENT', isProgram ? environmentLines() : blocksIn(command, 'ENVIRONMENT')),
    ...section('FILES', isProgram ? fileLines : []),
    ...section('EXAMPLES', blocksIn(command, 'EXAMPLES')),
    ...section('SEE ALSO', seeAlso(command)),
  ];
  return `${lines.join('\n')}\n`;
}

/** The manual page of each command, by its file in a manual folder. */
export const commandPages = (): Record<string, string> =>
  Object.fromEntries(withInner(programText()).map((command) => [`man1/${pageName(command.path)}.1`, pageOf(command)]));
