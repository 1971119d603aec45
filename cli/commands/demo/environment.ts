import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ZpsendError } from '../../../schemas/errors.ts';
import { findNatsServer, NatsServerMissingError } from '../../../tools/nats-server/find.ts';
import { startNatsServer } from '../../../tools/nats-server/start.ts';
import type { Cli } from '../../context.ts';
import { startGuard, startService } from './background.ts';
import { type Machines, makeMachines } from './machines.ts';

/**
 * Runs a nats-server, two hosts and their services while `use` runs, and removes all of it.
 * @throws ZpsendError UNSUPPORTED if there is no nats-server, and none can be downloaded
 */
export async function withEnvironment<T>(
  cli: Cli,
  simulated: boolean,
  use: (machines: Machines) => Promise<T>,
): Promise<T> {
  await using stack = new AsyncDisposableStack();
  const { io, self } = cli;
  const server = await startServer(io.out);
  stack.defer(() => server.stop());
  io.out(`NATS: ${server.url}, with JetStream`);

  const folder = await mkdtemp(join(tmpdir(), 'zpsend-demo-'));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  const config = join(folder, 'zpsend.yaml');
  await writeFile(config, '{}\n');
  const machines = await makeMachines(
    folder,
    { ...plainEnv(cli.env), NATS_URL: server.url, ZPSEND_CONFIG: config },
    simulated,
  );
  const guard = startGuard(folder, machines.removal, machines.source.env);
  stack.defer(() => guard.stop());
  io.out(`ZFS:  ${machines.what}`);

  const services = [
    {
      service: 'receiver' as const,
      machine: machines.target,
      more: { ZPSEND_ALLOW: `smos-01=${machines.target.pool}` },
    },
    { service: 'sender' as const, machine: machines.source, more: {} },
  ];
  for (const { service, machine, more } of services) {
    io.out(`\n${machine.host}# zpsend ${service}`);
    const running = await startService(self, service, { ...machine.env, ...more }, io.out);
    stack.defer(() => running.stop());
    guard.watch(running.pid);
  }
  return await use(machines);
}

async function startServer(log: (line: string) => void) {
  try {
    const { path, version, how } = await findNatsServer({ log });
    log(`nats-server ${version} (${how}: ${path})`);
    return await startNatsServer({ path, jetstream: true });
  } catch (error) {
    if (error instanceof NatsServerMissingError) throw new ZpsendError('UNSUPPORTED', error.message);
    throw error;
  }
}

/** Without the settings of this machine's NATS, host name and configuration. */
const plainEnv = (env: NodeJS.ProcessEnv): NodeJS.ProcessEnv =>
  Object.fromEntries(Object.entries(env).filter(([name]) => !/^(NATS|ZPSEND|ZFS_SIM)_/.test(name)));
