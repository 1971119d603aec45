import type { Command } from 'commander';
import type { Cli } from '../../cli/context.ts';
import { commandLine } from '../../cli/main.ts';
import { type HelpBlock, helpBlocks } from './help-blocks.ts';

interface Term {
  readonly term: string;
  readonly description: string;
}

/** A command, as its help describes it. */
export interface CommandText {
  /** `zpsend store get` */
  readonly path: string;
  /** Without "Usage:". */
  readonly usage: string;
  readonly summary: string;
  readonly description: string;
  /** The heading above it in the help of its parent. */
  readonly group: string;
  readonly arguments: readonly Term[];
  /** Options by their heading. */
  readonly options: readonly (Term & { readonly heading: string })[];
  readonly blocks: readonly HelpBlock[];
  readonly inner: readonly CommandText[];
}

/** The text after the options. */
function textAfter(command: Command): string {
  let text = '';
  const [getOutHelpWidth, getOutHasColors] = [() => 80, () => false];
  command.configureOutput({ writeOut: (part) => (text += part), getOutHelpWidth, getOutHasColors });
  command.outputHelp();
  return text.slice(command.helpInformation().length);
}

function textOf(command: Command, parent: string): CommandText {
  const help = command.createHelp();
  const path = `${parent}${command.name()}`;
  const inner = help.visibleCommands(command).filter((one) => command.commands.includes(one));
  return {
    path,
    usage: help.commandUsage(command),
    summary: command.summary(),
    description: command.description(),
    group: (command.helpGroup() ?? '').replace(/:$/, ''),
    arguments: help.visibleArguments(command).map((argument) => ({
      term: argument.name(),
      description: help.argumentDescription(argument),
    })),
    options: help.visibleOptions(command).map((option) => ({
      term: help.optionTerm(option),
      description: help.optionDescription(option),
      heading: (option.helpGroupHeading ?? 'Options:').replace(/:$/, ''),
    })),
    blocks: helpBlocks(textAfter(command)),
    inner: inner.map((one) => textOf(one, `${path} `)),
  };
}

/** Commands that are described, and never run. */
const described = { env: {}, argv: [], action: () => async () => {} } as unknown as Cli;

/** The whole command line. */
export const programText = (): CommandText => textOf(commandLine(described), '');

/** A command with all commands inside it. */
export const withInner = (command: CommandText): CommandText[] => [command, ...command.inner.flatMap(withInner)];
