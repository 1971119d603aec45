import { type Command, CommanderError } from 'commander';
import { ZpsendError } from '../../schemas/errors.ts';
import { usage } from '../exit-codes.ts';
import { commandHintFor, hintFor } from './other-tools.ts';

/** An error of commander becomes BAD_REQUEST, with a hint and the help to read. Other errors stay as they are. */
export function asZpsendError(thrown: unknown, root: Command, argv: readonly string[]): ZpsendError {
  if (!(thrown instanceof CommanderError)) return ZpsendError.from(thrown);
  const { command, path } = namedCommand(root, argv);
  const help = `${path} --help`;
  if (thrown.code === 'commander.help') return usage(`name a command: ${help} lists them`);
  const message = thrown.message
    .replace(/^error: /, '')
    .replace('Allowed choices are', 'allowed choices are')
    .replace(/( is invalid(?: for argument '[^']*')?)\. /, '$1: ')
    .replace(/\.$/, '');
  const unknownCommand = command === root ? /^unknown command '(.*)'/.exec(message)?.[1] : undefined;
  const commandHint = unknownCommand === undefined ? undefined : commandHintFor(unknownCommand);
  const hint =
    thrown.code === 'commander.conflictingOption'
      ? meanings(command, message)
      : (commandHint ?? hintFor(/^unknown option '(.*)'/.exec(message)?.[1] ?? ''));
  // commander's own suggestion is on a second line
  const words = commandHint === undefined ? message.replace('\n', ' ') : message.replace(/\n.*/s, '');
  return usage([words, ...(hint ? [hint] : []), `see ${help}`].join('; '));
}

/** The innermost command that the arguments name. */
function namedCommand(root: Command, argv: readonly string[]): { command: Command; path: string } {
  let [command, path] = [root, root.name()];
  for (const word of argv) {
    const inner = command.commands.find((one) => one.name() === word);
    if (!inner) break;
    command = inner;
    path = `${path} ${word}`;
  }
  return { command, path };
}

/** The meaning of each option that a message names: `-R: ...; -r: ...`. */
const meanings = ({ options }: Command, message: string): string =>
  options
    .filter(({ flags, hidden }) => !hidden && message.includes(`'${flags}'`))
    .map(({ short, long, description }) => `${short ?? long}: ${description}`)
    .join('; ');
