#!/usr/bin/env node
import { enableCompileCache } from 'node:module';
import { setFlagsFromString } from 'node:v8';
import type { Local } from '../cli/context.ts';
import type { ProgramEnvironment } from '../lib/settings/environment-file.ts';

enableCompileCache();

/** The environment, or the file of variables if the environment does not name NATS. Reports a fault of that file; undefined then. */
async function environment(): Promise<ProgramEnvironment | undefined> {
  const [{ programEnvironment }, { saysNats }, { ZpsendError }] = await Promise.all([
    import('../lib/settings/environment-file.ts'),
    import('../lib/bus/connection/nats-settings.ts'),
    import('../schemas/errors.ts'),
  ]);
  try {
    return programEnvironment(process.env, saysNats);
  } catch (error) {
    const { code, message } = ZpsendError.from(error);
    // a shell would print it into the line that is being typed
    if (process.argv[2] !== '__complete') process.stderr.write(`zpsend: ${code}: ${message}\n`);
    return undefined;
  }
}

/** What the command line asks of this machine directly. It reaches the services over the bus only. */
function localOf(env: NodeJS.ProcessEnv): Local {
  return {
    zfsFacts: async (host) => (await import('../services/host/zfs-facts.ts')).localZfsFacts(host, env),
    zfsNames: async (dataset, ms) => (await import('../lib/zfs/names.ts')).listNames(env, dataset, ms),
    validate: async (settings) => (await import('../services/sender/service.ts')).sender(true).check?.(settings),
  };
}

/** Starts a service or the command line. @returns the exit status */
async function run(argv: string[]): Promise<number> {
  const [command, ...rest] = argv;
  const program = await environment();
  if (program === undefined) return 2;
  const { env } = program;
  // with other arguments the command line prints help or refuses them
  const isPlain = rest.every((word) => word === '--private');
  if ((command === 'sender' || command === 'receiver') && isPlain) {
    // TLS buffers are freed when the young generation is collected, so a small one keeps the process small
    for (const flag of ['--semi-space-growth-factor=1', '--max-semi-space-size=1', '--min-semi-space-size=1']) {
      setFlagsFromString(flag);
    }
    const [{ runService }, { environmentReader }, { saysNats }] = await Promise.all([
      import('../services/host/run-service.ts'),
      import('../lib/settings/environment-file.ts'),
      import('../lib/bus/connection/nats-settings.ts'),
    ]);
    const isPrivate = rest.includes('--private');
    const service =
      command === 'sender'
        ? (await import('../services/sender/service.ts')).sender(isPrivate)
        : (await import('../services/receiver/service.ts')).receiver;
    const envFile = program.state === 'read' ? program.path : undefined;
    // nothing may keep a stopped service alive
    const readEnv = environmentReader(process.env, saysNats);
    process.exit(await runService(service, { env, envFile, readEnv, private: isPrivate }));
  }
  const { main } = await import('../cli/main.ts');
  return main(argv, program, localOf(env));
}

process.exitCode = await run(process.argv.slice(2));
// the NATS client does not close the socket of a server that never answered; pipes are written synchronously (Node, process I/O)
setTimeout(() => process.exit(), 1000).unref();
