import type { Command } from 'commander';
import { findNats } from '../../lib/bus/connection/find-nats.ts';
import { connectionOptions } from '../../lib/bus/connection/options.ts';
import { takenFromItself } from '../../lib/settings/send-allow.ts';
import { loadSettings, settingsSummary } from '../../lib/settings/settings.ts';
import { type Cli, natsSources } from '../context.ts';
import { exit } from '../exit-codes.ts';
import { natsInWords } from '../output/nats.ts';

export function addConfig(program: Command, cli: Cli): void {
  program
    .command('config')
    .summary('check the configuration file')
    .description('Check the configuration file.')
    .command('check')
    .summary('check the configuration, and print what it allows')
    .description('Check the configuration as a service does, and print what it allows.')
    .argument('[file]', '(default: the file that the services read)')
    .addHelpText('after', help)
    .action(cli.action((file?: string) => check(cli, file)));
}

const help = `
Connects to nothing.
Exit status: 0 valid, 2 not valid.

Example:
  zpsend config check /etc/zpsend.yaml.new`;

async function check(cli: Cli, file: string | undefined): Promise<number> {
  const env = file === undefined ? cli.env : { ...cli.env, ZPSEND_CONFIG: file };
  const settings = loadSettings(env);
  await cli.local.validate(settings);
  const found = findNats({ ...natsSources(cli, settings), env });
  // reads the files that the settings name
  connectionOptions(found.settings);
  cli.io.out(`host     ${settings.host}`);
  cli.io.out(`config   ${settingsSummary(settings)}`);
  cli.io.out(`nats     ${natsInWords(found)}`);
  for (const taken of takenFromItself(settings.config.send.allow ?? [])) cli.io.out(`note     send.allow: ${taken}`);
  return exit.done;
}
