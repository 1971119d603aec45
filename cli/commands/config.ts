import type { Command } from 'commander';
import { findNats } from '../../lib/bus/connection/find-nats.ts';
import { connectionOptions } from '../../lib/bus/connection/options.ts';
import { type SettingRow, settingRows } from '../../lib/settings/effective.ts';
import { takenFromItself } from '../../lib/settings/send-allow.ts';
import { loadSettings, readConfigFile, settingsOf, settingsSummary } from '../../lib/settings/settings.ts';
import { misspeltVariables } from '../../lib/settings/variables.ts';
import type { ConfigOutput } from '../../schemas/output.ts';
import { type Cli, type JsonOption, natsSources } from '../context.ts';
import { exit } from '../exit-codes.ts';
import { natsInWords, natsRows } from '../output/nats.ts';

export function addConfig(program: Command, cli: Cli): void {
  const config = program
    .command('config')
    .summary('check or show the configuration')
    .description('Check or show the configuration of this host.');
  config
    .command('check')
    .summary('check the configuration, and print what it allows')
    .description('Check the configuration as a service does, and print what it allows.')
    .argument('[file]', '(default: the file that the services read)')
    .addHelpText('after', checkHelp)
    .action(cli.action((file?: string) => check(cli, file)));
  config
    .command('show')
    .summary('print each effective value with its source')
    .description('Print each effective value with its source: default, file or variable.')
    .argument('[file]', '(default: the file that the services read)')
    .option('--json', 'print JSON')
    .addHelpText('after', showHelp)
    .action(cli.action((file: string | undefined, options: JsonOption) => show(cli, file, options)));
}

const checkHelp = `
Connects to nothing. An unknown key is refused with the nearest known one. A
note names variables of the environment that seem misspelt.
Exit status: 0 valid, 2 not valid.

Example:
  zpsend config check /etc/zpsend.yaml.new`;

const showHelp = `
Connects to nothing. Passwords, tokens and seeds are not printed. A value "-" is
not set. Numbers are in the unit of their key: bytes, seconds, minutes or hours.
Exit status: 0 printed, 2 not valid.

Examples:
  zpsend config show
  zpsend config show --json /etc/zpsend.yaml.new`;

const environmentOf = ({ env }: Cli, file: string | undefined): NodeJS.ProcessEnv =>
  file === undefined ? env : { ...env, ZPSEND_CONFIG: file };

async function check(cli: Cli, file: string | undefined): Promise<number> {
  const env = environmentOf(cli, file);
  const settings = loadSettings(env);
  await cli.local.validate(settings);
  const found = findNats({ ...natsSources(cli, settings), env });
  // reads the files that the settings name
  connectionOptions(found.settings);
  cli.io.out(`host     ${settings.host}`);
  cli.io.out(`config   ${settingsSummary(settings)}`);
  cli.io.out(`nats     ${natsInWords(found)}`);
  for (const taken of takenFromItself(settings.config.send.allow ?? [])) cli.io.out(`note     send.allow: ${taken}`);
  for (const { name, meant } of misspeltVariables(env)) {
    cli.io.out(`note     ${name}: zpsend reads no variable of this name; did you mean ${meant.join(' or ')}?`);
  }
  return exit.done;
}

async function show(cli: Cli, named: string | undefined, { json }: JsonOption): Promise<number> {
  const env = environmentOf(cli, named);
  const file = readConfigFile(env);
  const sources = { ...natsSources(cli, settingsOf(file, env)), env };
  const variables = sources.envFile ?? 'the environment';
  const nats = natsRows(findNats(sources), { env, variables, file: file?.path });
  const settings = [...settingRows(file, env), ...nats];
  if (json) cli.io.out(JSON.stringify({ settings } satisfies ConfigOutput));
  else settings.map(lineOf).forEach(cli.io.out);
  return exit.done;
}

const lineOf = ({ key, value, source }: SettingRow): string =>
  `${key}  ${value === undefined ? '-' : typeof value === 'string' ? value : JSON.stringify(value)}  ${source}`;
