import { Argument, type Command } from 'commander';
import { nearestWords } from '../../../schemas/nearest-word.ts';
import type { Cli } from '../../context.ts';
import { exit, usage } from '../../exit-codes.ts';
import { topics } from './topics.ts';

const topicNames = Object.keys(topics);

/** Added last: it completes the names of the other commands. */
export function addHelp(program: Command, cli: Cli): void {
  const name = new Argument('[name...]', 'a command, or a topic');
  name.argChoices = [...program.commands.map((command) => command.name()), ...topicNames];
  program
    .command('help')
    .summary('print the help of a command or a topic')
    .description('Print the help of a command or a topic.')
    .addArgument(name)
    .addHelpText('after', `\n${topicList}\n\nExamples:\n  zpsend help send\n  zpsend help units`)
    .action(cli.action((words: string[]) => help(program, cli, words)));
}

/** The topics, for the help of zpsend itself. */
export const topicList = `Topics (zpsend help TOPIC):
  ${topicNames.slice(0, 4).join(', ')},
  ${topicNames.slice(4).join(', ')}`;

async function help(program: Command, { io }: Cli, words: readonly string[]): Promise<number> {
  const [first = ''] = words;
  if (words.length === 1 && Object.hasOwn(topics, first)) {
    io.out((topics[first] ?? '').trimEnd());
    return exit.done;
  }
  let command = program;
  for (const word of words) {
    const inner = command.commands.find((one) => one.name() === word);
    if (!inner) throw unknown(command, word);
    command = inner;
  }
  command.outputHelp();
  return exit.done;
}

function unknown(command: Command, word: string) {
  const known = [...command.commands.map((one) => one.name()), ...(command.parent ? [] : topicNames)];
  const near = nearestWords(word, known);
  const hint = near.length > 0 ? `did you mean ${near.join(' or ')}?` : 'zpsend help lists the commands and topics';
  return usage(`no command or topic "${word}": ${hint}`);
}
