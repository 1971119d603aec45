import { Argument, type Command } from 'commander';
import { candidatesOf, neededFor, slotOf } from '../../args/complete.ts';
import type { Cli } from '../../context.ts';
import { exit } from '../../exit-codes.ts';
import { findNames } from './names.ts';
import { completesFiles, scripts } from './scripts.ts';

export function addCompletion(program: Command, cli: Cli): void {
  program
    .command('completion')
    .summary('print a completion script for a shell')
    .description('Print a completion script for bash, zsh or fish.')
    .addArgument(new Argument('<shell>', 'bash, zsh, fish').choices(Object.keys(scripts)))
    .addHelpText('after', help)
    .action(
      cli.action(async (shell: keyof typeof scripts) => {
        cli.io.out(scripts[shell].trimEnd());
        return exit.done;
      }),
    );
}

const help = `
Completes commands, options, choices, datasets, snapshots, hosts and jobs. Names
come from zfs list and from the bus. A search that takes over 0.3 s is left out.

Examples:
  zpsend completion bash | sudo tee /etc/bash_completion.d/zpsend
  zpsend completion zsh | sudo tee /usr/share/zsh/site-functions/_zpsend
  zpsend completion fish | sudo tee /etc/fish/completions/zpsend.fish`;

/** The command of the scripts: `zpsend __complete -- WORDS...`. It is not parsed, since the words may be unfinished. */
export const hiddenCommand = '__complete';

/**
 * Prints a line for each candidate of the last word: the candidate, a tab and a description. Never fails, and never writes to standard
 * error.
 * @returns the exit status
 */
export async function complete(root: Command, cli: Cli): Promise<number> {
  const [, first, ...others] = cli.argv;
  const words = first === '--' ? others : [first ?? '', ...others];
  try {
    const slot = slotOf(root, words);
    if (slot.kind === 'file') return completesFiles;
    for (const { value, description } of candidatesOf(slot, await findNames(cli, neededFor(slot)))) {
      cli.io.out(description === undefined ? value : `${value}\t${description}`);
    }
  } catch {
    // a shell has no use for an error here
  }
  return exit.done;
}
