import { type CommandText, programText, withInner } from './commands.ts';
import type { HelpBlock } from './help-blocks.ts';
import { code, madeFrom, plain, tableOf } from './markdown.ts';

const introduction = `# Command line

\`zpsend COMMAND --help\` prints the same texts. Names in capitals and in \`<...>\` stand for values; \`[...]\` can be absent.

${madeFrom('cli/')}`;

const fenced = (lines: readonly string[], language: string): string =>
  `\`\`\`${language}\n${lines.join('\n')}\n\`\`\`\n`;

function blockOf(block: HelpBlock): string {
  if (block.kind === 'paragraph') return `${plain(block.text)}\n`;
  const title = block.title === undefined ? '' : `**${plain(block.title)}**\n\n`;
  return `${title}${fenced(block.lines, 'text')}`;
}

function optionsOf({ options, arguments: named }: CommandText): string[] {
  const rows = [
    ...named.map(({ term, description }) => [code(term), plain(description)]),
    ...options.map(({ term, description }) => [code(term), plain(description)]),
  ];
  return rows.length > 0 ? [tableOf(['argument or option', 'meaning'], rows)] : [];
}

const anchorOf = (path: string): string => `#${path.replaceAll(' ', '-')}`;

function sectionOf(command: CommandText): string {
  const { path, usage, description, blocks, inner } = command;
  const listed = inner.map((one) => `- [${one.path}](${anchorOf(one.path)}): ${plain(one.summary)}\n`).join('');
  return [
    `## ${path}\n`,
    `${plain(description)}\n`,
    fenced([usage], 'text'),
    ...optionsOf(command),
    ...blocks.map(blockOf),
    ...(listed === '' ? [] : [listed]),
  ].join('\n');
}

/** docs/reference/command-line.md: all commands. */
export const commandLinePage = (): string =>
  [introduction, ...withInner(programText()).map((command) => `\n${sectionOf(command)}`)].join('');
