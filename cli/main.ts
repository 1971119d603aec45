import { Command, CommanderError, type Option } from 'commander';
import type { ProgramEnvironment } from '../lib/settings/environment-file.ts';
import { version } from '../lib/settings/version.ts';
import { asZpsendError } from './args/usage-error.ts';
import { addAbort } from './commands/abort.ts';
import { addCompletion, complete, hiddenCommand } from './commands/completion/command.ts';
import { addConfig } from './commands/config.ts';
import { addDemo } from './commands/demo/command.ts';
import { addDeploy } from './commands/deploy/command.ts';
import { addDoctor } from './commands/doctor/command.ts';
import { addHelp, topicList } from './commands/help/command.ts';
import { addHosts } from './commands/hosts/command.ts';
import { addLocks } from './commands/locks.ts';
import { addPlan } from './commands/plan.ts';
import { addPolicies } from './commands/policies.ts';
import { addSend } from './commands/send.ts';
import { addReceiver, addSender } from './commands/services.ts';
import { addSnapshots } from './commands/snapshots.ts';
import { addStatus } from './commands/status/command.ts';
import { addStore } from './commands/store/command.ts';
import { addVerify } from './commands/verify/command.ts';
import { addVersion } from './commands/version.ts';
import { addWatch } from './commands/watch/command.ts';
import type { Cli, Local } from './context.ts';
import { exit, exitFor } from './exit-codes.ts';
import { errorLines } from './output/errors.ts';
import { openIo } from './output/terminal.ts';

const groups = {
  'Replication:': [addSend, addPlan, addVerify, addStatus, addAbort],
  'Hosts:': [addHosts, addSnapshots, addStore, addLocks, addPolicies, addWatch],
  'Setup:': [addDemo, addDoctor, addConfig, addDeploy],
  'Services:': [addSender, addReceiver],
  'Commands:': [addCompletion, addVersion, addHelp],
};

/**
 * The command line.
 * @param argv the arguments, without the interpreter and the script
 * @returns the exit status (exit-codes.ts)
 */
export async function main(argv: string[], program: ProgramEnvironment, local: Local): Promise<number> {
  const io = openIo(process.stdout, process.stderr);
  let status: number = exit.done;
  const cli: Cli = {
    env: program.env,
    program,
    local,
    io,
    argv,
    self: [process.execPath, process.argv[1] ?? 'zpsend'],
    action:
      (run) =>
      async (...args) => {
        status = await run(...args);
      },
  };
  const root = commandLine(cli);
  if (argv[0] === hiddenCommand) return complete(root, cli);
  try {
    await root.parseAsync(argv, { from: 'user' });
    return status;
  } catch (thrown) {
    if (thrown instanceof CommanderError && thrown.exitCode === 0) return exit.done;
    const error = asZpsendError(thrown, root, argv).toBody();
    if (argv.includes('--json')) io.out(JSON.stringify({ error }));
    else errorLines(error).forEach(io.err);
    return exitFor(error.code);
  }
}

/** All commands and their help. */
export function commandLine(cli: Cli): Command {
  const root = new Command('zpsend')
    .description('Replicate ZFS snapshots from host to host over NATS.')
    .version(version, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand(false)
    .exitOverride()
    // main reports each error once
    .configureOutput({ outputError: () => {} })
    .configureHelp({
      subcommandTerm: (command) => command.name(),
      optionDescription: descriptionOf,
      argumentDescription: ({ description }) => description,
    })
    .addHelpText('after', overview);
  for (const [group, commands] of Object.entries(groups)) {
    root.commandsGroup(group);
    for (const add of commands) add(root, cli);
  }
  return root;
}

/** The descriptions list the choices themselves. */
const descriptionOf = ({ description, defaultValueDescription }: Option): string =>
  defaultValueDescription === undefined ? description : `${description} (default: ${defaultValueDescription})`;

const overview = `
NATS is found through the first of these that is set: NATS_URL, NATS_CREDS and
the other variables of the nats CLI; /etc/zpsend/env; nats: in the configuration
file; the selected nats context. zpsend doctor shows which one is used.

${topicList}

Examples:
  zpsend demo                       # needs neither ZFS nor NATS
  zpsend doctor                     # what is missing on this host
  zpsend send zones/test smos-00    # send what smos-00 lacks of zones/test
  zpsend send -R zones/vm smos-00   # with all datasets below zones/vm
  zpsend plan zones/test smos-00    # show what would be sent`;
