import type { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import type { Cli } from '../../../cli/context.ts';
import { commandLine } from '../../../cli/main.ts';

/** Commands that are only described and parsed: what would run them is left out. */
const cli = { action: () => async () => {} } as unknown as Cli;

/** A command with its inner ones, each by its path. */
const withInner = (command: Command, path: string): [string, Command][] => [
  [path, command],
  ...command.commands.flatMap((inner) => withInner(inner, `${path} ${inner.name()}`)),
];
const commands = withInner(commandLine(cli), 'zpsend');

function helpOf(command: Command): string[] {
  let text = '';
  command.configureOutput({
    writeOut: (part) => (text += part),
    getOutHelpWidth: () => 80,
    getOutHasColors: () => false,
  });
  command.outputHelp();
  return text.trimEnd().split('\n');
}

/** The arguments of an example, as a shell splits them; without its comment, a pipe and variables. */
function argvOf(example: string): string[] {
  const [plain = ''] = example.trim().split(/ +[#|]/);
  return plain
    .split(/ +(?=(?:[^']*'[^']*')*[^']*$)/)
    .filter((word) => !/^[A-Z_]+=/.test(word))
    .map((word) => word.replaceAll(/['"]/g, ''));
}

describe.each(commands)('%s --help', (path, command) => {
  const lines = helpOf(command);

  it('fits into 80 columns, with one line for each argument, option and inner command', () => {
    expect(lines.filter((line) => line.length > 80)).toEqual([]);
    const wrapped = command
      .helpInformation()
      .split('\n')
      .filter((line) => /^ {8}/.test(line));
    expect(wrapped).toEqual([]);
  });

  it('begins with what it does, as an order', () => {
    expect(command.description()).toMatch(/^[A-Z][a-z]+ /);
    expect(command.description()).not.toMatch(/^[A-Z][a-z]+s /);
    if (path !== 'zpsend') expect(command.summary()).toMatch(/^(?![a-z]+s )[a-z]+ [^.]*$/);
  });

  it('has examples that the command line accepts', async () => {
    const from = lines.findIndex((line) => /^Examples?:$/.test(line));
    const examples = from < 0 ? [] : lines.slice(from + 1).filter((line) => line.includes('zpsend'));
    for (const example of examples) {
      const argv = argvOf(example);
      expect(argv[0]).toBe('zpsend');
      await commandLine(cli).parseAsync(argv.slice(1), { from: 'user' });
    }
    const runs = command.commands.length === 0 && path !== 'zpsend version';
    expect(examples.length).toBeGreaterThanOrEqual(runs ? 1 : 0);
  });
});
