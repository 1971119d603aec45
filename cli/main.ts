import { Command, CommanderError } from 'commander';
import type { ProgramEnvironment } from '../lib/settings/environment-file.ts';
import { version } from '../lib/settings/version.ts';
import { asZpsendError } from './args/usage-error.ts';
import { addAbort } from './commands/abort.ts';
import { addConfig } from './commands/config.ts';
import { addDemo } from './commands/demo/command.ts';
import { addDeploy } from './commands/deploy/command.ts';
import { addDoctor } from './commands/doctor/command.ts';
import { addHosts } from './commands/hosts/command.ts';
import { addLocks } from './commands/locks.ts';
import { addPlan } from './commands/plan.ts';
import { addPolicies } from './commands/policies.ts';
import { addSend } from './commands/send.ts';
import { addServices } from './commands/services.ts';
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

const commands = [
  addSend,
  addPlan,
  addVerify,
  addSnapshots,
  addStatus,
  addAbort,
  addStore,
  addHosts,
  addLocks,
  addPolicies,
  addWatch,
  addDoctor,
  addConfig,
  addDeploy,
  addDemo,
  addServices,
  addVersion,
];

/**
 * The command line.
 * @param argv the arguments, without the interpreter and the script
 * @returns the exit status (see exit.ts)
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

function commandLine(cli: Cli): Command {
  const root = new Command('zpsend')
    .description('Replicates ZFS snapshots from host to host over a NATS cluster.')
    .version(version, '-V, --version')
    .exitOverride()
    // errors are told once, in one form, by main
    .configureOutput({ outputError: () => {} })
    .addHelpText('after', overview);
  for (const add of commands) add(root, cli);
  return root;
}

const overview = `
Examples:
  zpsend demo                          see it work on this machine, thrown away afterwards
  zpsend doctor                        what is missing here
  zpsend send zones/test smos-00       send what smos-00 lacks of this host's zones/test
  zpsend send -R zones/vm smos-00      the same with all datasets below zones/vm
  zpsend plan zones/test smos-00       what would be sent

NATS is found through NATS_URL, NATS_CREDS, NATS_CONTEXT and so on; where none is set, through /etc/zpsend/env, then "nats:" in
the configuration file, then the context that nats context select chose. zpsend doctor says which.`;
