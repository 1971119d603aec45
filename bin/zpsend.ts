#!/usr/bin/env node
import { enableCompileCache } from 'node:module';
import { setFlagsFromString } from 'node:v8';

enableCompileCache();

/** The services are started here, above both: the command line itself knows them only over the bus. */
async function run(argv: string[]): Promise<number> {
  const [command, ...rest] = argv;
  // whatever else stands there is help to be shown or a mistake to be told, which is the command line's
  const isPlain = rest.every((word) => word === '--private');
  if ((command === 'sender' || command === 'receiver') && isPlain) {
    // the buffers that TLS decrypts into are freed when the young generation is collected: a small one keeps the process small
    for (const flag of ['--semi-space-growth-factor=1', '--max-semi-space-size=1', '--min-semi-space-size=1']) {
      setFlagsFromString(flag);
    }
    const { runService } = await import('../services/host/life.ts');
    const isPrivate = rest.includes('--private');
    const service =
      command === 'sender'
        ? (await import('../services/sender/service.ts')).sender(isPrivate)
        : (await import('../services/receiver/service.ts')).receiver;
    // nothing may keep a stopped service alive
    process.exit(await runService(service, { env: process.env, private: isPrivate }));
  }
  const { main } = await import('../cli/main.ts');
  return main(argv);
}

process.exitCode = await run(process.argv.slice(2));
// the client leaves the socket open of a server that never answered; pipes are written at once (process I/O, Node's documentation)
setTimeout(() => process.exit(), 1000).unref();
