import { type BulkConnection, openBulk } from '../../lib/bus/bulk/connection.ts';
import { type Bus, connectBus } from '../../lib/bus/connect.ts';
import { announce } from '../../lib/bus/discovery.ts';
import type { Served } from '../../lib/bus/serve.ts';
import { natsConfigOf } from '../../lib/settings/nats-config.ts';
import { loadSettings, type Settings } from '../../lib/settings/settings.ts';
import { version } from '../../lib/settings/version.ts';
import { settingsInWords } from '../../lib/settings/words.ts';
import { createZfs, type Zfs } from '../../lib/zfs/zfs.ts';
import { ZpsendError } from '../../schemas/errors.ts';
import { newId } from './ids.ts';
import { type Log, openLog } from './log.ts';

/** What a service is made of. */
export interface ServiceContext {
  readonly settings: Settings;
  readonly host: string;
  readonly instance: string;
  readonly log: Log;
  readonly bus: Bus;
  readonly bulk: BulkConnection;
  readonly zfs: Zfs;
}

export interface RunningService {
  readonly endpoints: Served[];
  /** Ends what runs, cleanly: holds and locks are given back. */
  stop(): Promise<void>;
}

export interface Service {
  readonly name: 'sender' | 'receiver';
  readonly description: string;
  /** Judges what its schema cannot, before anything starts. @throws ZpsendError BAD_REQUEST */
  check?(settings: Settings): void;
  begin(context: ServiceContext): Promise<RunningService>;
}

export interface RunOptions {
  readonly env: NodeJS.ProcessEnv;
  /** The file that stands for the environment, where one does. */
  readonly envFile?: string | undefined;
  /** Started by a command for itself: says on standard output when it is ready, and ends when its standard input does. */
  readonly private: boolean;
}

/** A stop that takes longer than this is forced, in milliseconds. */
const stopMs = 30_000;

/** Resolves with what ended the service: a signal, or the closing of standard input. */
function endOfService(isPrivate: boolean): Promise<string> {
  return new Promise((resolve) => {
    // the listeners stay: without one, the clean-up of child processes would end this process at once
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => resolve(signal));
    if (isPrivate)
      process.stdin
        .once('end', () => resolve('the command has ended'))
        .once('error', () => {})
        .resume();
  });
}

/**
 * Runs a service until it is told to end.
 * @returns its exit status: 0 after a clean stop, 1 when NATS closed the connection for good, 2 for a bad configuration
 */
export async function runService(service: Service, options: RunOptions): Promise<number> {
  // whoever reads the log may go: the work goes on
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
  let settings: Settings;
  let log: Log;
  try {
    settings = loadSettings(options.env);
    service.check?.(settings);
    log = openLog(settings.host, options.env);
  } catch (error) {
    const { code, message } = ZpsendError.from(error);
    process.stderr.write(`zpsend: ${code}: ${message}\n`);
    return 2;
  }
  const { host } = settings;
  const instance = newId();
  const ended = endOfService(options.private);
  log.info(`configuration read from ${settingsInWords(settings)}`);
  const connecting = connectAll(`zpsend-${service.name} on ${host}`, settings, options, log);
  const first = await Promise.race([connecting, ended]).catch((thrown) => ZpsendError.from(thrown));
  if (typeof first === 'string') return 0;
  if (first instanceof ZpsendError) {
    log.error(`${first.code}: ${first.message}`);
    return first.code === 'BAD_REQUEST' ? 2 : 1;
  }
  const { bus, bulk } = first;
  const context = { settings, host, instance, log, bus, bulk, zfs: createZfs({ host, env: options.env }) };
  const running = await service.begin(context);
  const silence = announce(
    bus,
    { name: `zpsend-${service.name}`, id: instance, version, description: service.description, metadata: { host } },
    running.endpoints,
  );
  await bus.nc.flush();
  log.info(`${service.name} ${version} (${instance}) is ready on ${bus.server}`);
  if (options.private) process.stdout.write(`${JSON.stringify({ instance })}\n`);

  const lost = Promise.race([bus.closed, bulk.closed]).then((error) => error ?? new Error('closed'));
  const reason = await Promise.race([ended, lost]);
  log.info(`stopping: ${reason instanceof Error ? `the connection to NATS is closed: ${reason.message}` : reason}`);
  const forced = setTimeout(() => {
    log.error('stopping takes too long; ending now');
    process.exit(1);
  }, stopMs);
  forced.unref();
  silence();
  for (const endpoint of running.endpoints) endpoint.stop();
  await running.stop();
  await bulk.close();
  await bus.close();
  log.info('stopped');
  return reason instanceof Error ? 1 : 0;
}

async function connectAll(
  name: string,
  settings: Settings,
  { env, envFile, private: isPrivate }: RunOptions,
  log: Log,
): Promise<{ bus: Bus; bulk: BulkConnection }> {
  const onStatus = (text: string) => log.warn(text);
  const places = { env, envFile, config: natsConfigOf(settings), host: settings.host };
  const bus = await connectBus({ ...places, name, wait: !isPrivate, onStatus });
  const bulk = await openBulk({ ...bus.options, name: `${name} (data)` });
  return { bus, bulk };
}
