import type { Command } from 'commander';
import { findNats } from '../../lib/bus/connection/find-nats.ts';
import { connectionOptions } from '../../lib/bus/connection/options.ts';
import { takenFromItself } from '../../lib/settings/send-allow.ts';
import { loadSettings } from '../../lib/settings/settings.ts';
import { settingsInWords } from '../../lib/settings/words.ts';
import { busPlaces, type Cli } from '../context.ts';
import { exit } from '../exit-codes.ts';
import { natsInWords } from '../output/nats.ts';

export function addConfig(program: Command, cli: Cli): void {
  program
    .command('config')
    .summary('check a configuration file')
    .description('Helps with the configuration file.')
    .command('check')
    .summary('check a configuration file, and say what it allows')
    .description(
      'Checks the configuration as a service does before it starts, and says what it allows. Connects to nothing.',
    )
    .argument('[file]', 'the file; without it the one that services read')
    .addHelpText(
      'after',
      '\nExit status: 0 it is valid, 2 it is not.\n\nExample:\n  zpsend config check /etc/zpsend.yaml.new',
    )
    .action(cli.action((file?: string) => check(cli, file)));
}

async function check(cli: Cli, file: string | undefined): Promise<number> {
  const env = file === undefined ? cli.env : { ...cli.env, ZPSEND_CONFIG: file };
  const settings = loadSettings(env);
  await cli.local.judge(settings);
  const found = findNats({ ...busPlaces(cli, settings), env });
  // files that are named there are read
  connectionOptions(found.settings);
  cli.io.out(`host     ${settings.host}`);
  cli.io.out(`config   ${settingsInWords(settings)}`);
  cli.io.out(`nats     ${natsInWords(found)}`);
  for (const taken of takenFromItself(settings.config.send.allow ?? [])) cli.io.out(`note     send.allow: ${taken}`);
  return exit.done;
}
