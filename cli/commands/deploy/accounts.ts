import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Command, Option } from 'commander';
import { nscCommands } from '../../../lib/deploy/nsc.ts';
import { type ServerFile, serverFiles } from '../../../lib/deploy/server-files.ts';
import { readFleet } from '../../../lib/settings/fleet-file.ts';
import { ZpsendError } from '../../../schemas/errors.ts';
import type { Fleet } from '../../../schemas/fleet.ts';
import type { Cli, JsonOption } from '../../context.ts';
import { exit, usage } from '../../exit-codes.ts';
import type { Io } from '../../output/terminal.ts';

interface Options extends JsonOption {
  server?: string;
  out?: string;
  nsc?: true;
}

/** `zpsend deploy accounts` */
export function addAccounts(deploy: Command, cli: Cli): void {
  deploy
    .command('accounts')
    .summary("print the NATS servers' configuration, an account per host")
    .description("Print the configuration of a fleet's NATS servers, with an account for each host.")
    .argument('<file>', 'the fleet, in YAML')
    .option('--server <name>', 'print the configuration of this server only')
    .option('--out <folder>', 'write NAME.conf for each server (mode 0600)')
    .addOption(new Option('--nsc', 'print nsc commands instead (operator mode, JWT)').conflicts(['server', 'out']))
    .option('--json', 'print JSON')
    .addHelpText('after', help)
    .action(cli.action((file: string, options: Options) => accounts(cli, file, options)));
}

const help = `
Each host gets an account with exactly what its services need of the others.
JetStream has an account without users. The servers at sites (leaf nodes) need
their files with --nsc too. Then run zpsend deploy setup, which makes buckets.

A fleet (fleet-file in dist/schemas/zpsend.schema.json; the rest has defaults):
  servers:                                   # three of them form a cluster
    - { name: nats-1, address: nats-1.example }
  admins:
    ops: { nkey: UADMIN... }                 # nats auth nkey show FILE
  hosts:
    smos-01: { nkey: UABC..., roles: [sender] }
    smos-00: { nkey: UDEF..., roles: [receiver], from: [smos-01] }
  viewers:
    grafana: { user: grafana, password: "$2a$11$..." }  # nats server passwd

Example:
  zpsend deploy accounts fleet.yaml --out servers`;

function wanted(fleet: readonly ServerFile[], name: string | undefined): ServerFile[] {
  const files = fleet.filter(({ server }) => name === undefined || server === name);
  if (files.length > 0) return files;
  throw usage(`--server ${name}: the servers of the fleet are ${fleet.map(({ server }) => server).join(', ')}`);
}

/** The files contain users and passwords. */
function write(folder: string, files: readonly ServerFile[]): string[] {
  try {
    mkdirSync(folder, { recursive: true });
    return files.map(({ server, text }) => {
      const path = join(folder, `${server}.conf`);
      writeFileSync(path, text, { mode: 0o600 });
      return path;
    });
  } catch (error) {
    throw new ZpsendError(
      'BAD_REQUEST',
      `cannot write to --out ${folder}: ${error instanceof Error ? error.message : error}`,
    );
  }
}

/** Comments before and after the commands. */
const before = '# once: nsc add operator --name zpsend --sys';
const after = [
  '# central servers: use this in place of default_js_domain {} and accounts {} from zpsend deploy accounts',
  '# each host: nsc describe user --account ACCOUNT --name NAME --raw prints its JWT (NATS_JWT); its seed is NATS_SEED',
];
const afterSites = [
  '# each server of a site: the file from zpsend deploy accounts, and for each host links/HOST.conf with',
  '#   credentials: "/etc/nats/links/HOST.creds"',
  '# Create that file there, from nsc describe user --account host-HOST --name HOST-link --raw and the seed of the link:',
  "#   (umask 077; { echo '-----BEGIN NATS USER JWT-----'; cat HOST-link.jwt; echo '------END NATS USER JWT------'",
  "#   echo '-----BEGIN USER NKEY SEED-----'; cat HOST-link.nk; echo '------END USER NKEY SEED------'; } > HOST.creds)",
];

function nsc(io: Io, fleet: Fleet, { json }: Options): number {
  const commands = nscCommands(fleet);
  const all = [before, ...commands, ...after, ...(fleet.sites.length > 0 ? afterSites : [])];
  for (const line of json ? [JSON.stringify({ commands })] : all) io.out(line);
  return exit.done;
}

async function accounts({ io }: Cli, file: string, options: Options): Promise<number> {
  const fleet = readFleet(file);
  if (options.nsc) return nsc(io, fleet, options);
  const all = serverFiles(fleet);
  const files = wanted(all, options.server);
  if (options.out !== undefined) {
    for (const path of write(options.out, files)) io.out(path);
    return exit.done;
  }
  if (options.json) {
    io.out(JSON.stringify({ servers: files }));
    return exit.done;
  }
  if (files.length > 1)
    throw usage(`the fleet has ${files.length} servers: name one with --server NAME, or write all with --out FOLDER`);
  io.out(files.map(({ text }) => text.trimEnd()).join('\n'));
  return exit.done;
}
