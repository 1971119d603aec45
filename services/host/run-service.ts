import { type Bus, connectBus } from '../../lib/bus/connection/connect.ts';
import { isDeniedEndpoint } from '../../lib/bus/connection/denied-subjects.ts';
import type { NatsEvent } from '../../lib/bus/connection/dial.ts';
import { payloadTrouble } from '../../lib/bus/connection/payload.ts';
import { type DataConnection, openDataConnection } from '../../lib/bus/data-connection/connection.ts';
import { announce, type ServiceIdentity } from '../../lib/bus/rpc/micro-service.ts';
import type { Served } from '../../lib/bus/rpc/serve.ts';
import { type OwnMachine, ownMachine } from '../../lib/machine/machine.ts';
import { loadSettings, natsConfigOf, type Settings, settingsSummary } from '../../lib/settings/settings.ts';
import { version } from '../../lib/settings/version.ts';
import { type Clock, systemClock } from '../../lib/time/clock.ts';
import { timing } from '../../lib/time/timing.ts';
import { createZfs, type Zfs } from '../../lib/zfs/zfs.ts';
import { ZpsendError } from '../../schemas/errors.ts';
import type { Machine } from '../../schemas/machine.ts';
import { type CurrentSettings, openCurrentSettings } from './current-settings.ts';
import { type HostName, takeHostName } from './host-name.ts';
import { newId } from './ids.ts';
import { type Log, openLog } from './log.ts';
import { reload } from './reload.ts';
import { endOfService, openReloadRequests, type ReloadRequests } from './signals.ts';
import { openSupervisor, type Supervisor } from './supervisor.ts';
import { watchEndpoints } from './watch-endpoints.ts';

/** The parts of a service. */
export interface ServiceContext {
  readonly settings: CurrentSettings;
  readonly host: string;
  readonly machine: Machine;
  readonly instance: string;
  readonly log: Log;
  readonly bus: Bus;
  readonly dataConnection: DataConnection;
  readonly zfs: Zfs;
  readonly clock: Clock;
}

interface RunningService {
  readonly endpoints: Served[];
  /** Ends all work cleanly: holds and locks are released. */
  stop(): Promise<void>;
}

export interface Service {
  readonly name: 'sender' | 'receiver';
  readonly description: string;
  /** Checks the settings beyond their schema, before anything starts. @throws ZpsendError BAD_REQUEST */
  check?(settings: Settings): void;
  begin(context: ServiceContext): Promise<RunningService>;
}

export interface RunOptions {
  readonly env: NodeJS.ProcessEnv;
  /** The file that stands for the environment, where one does. */
  readonly envFile?: string | undefined;
  /** Reads the environment again, with the file. @throws ZpsendError BAD_REQUEST */
  readonly readEnv: () => NodeJS.ProcessEnv;
  /** Started by a command for itself: reports on standard output when it is ready, and ends when its standard input does. */
  readonly private: boolean;
}

/**
 * Runs a service until it gets SIGTERM or SIGINT, or loses NATS. SIGHUP makes it read its configuration again.
 * @returns its exit status: 0 after a clean stop, 1 when NATS closed the connection for good, 2 for a bad configuration, a host name
 *   that is another machine's, or a NATS user that may not have the requests to this host
 */
export async function runService(service: Service, options: RunOptions): Promise<number> {
  // the reader of the log may go: the work continues
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
  const clock = systemClock;
  const reloads = openReloadRequests(clock);
  const ended = endOfService(options.private, reloads.add);
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
  const supervisor = openSupervisor(options.env, (text) => log.warn('systemd.unreachable', text), clock);
  const own = ownMachine(settings.machineId);
  log.info('service.configured', `configuration read from ${settingsSummary(settings)}`);
  supervisor.ready(`${service.name}: waiting for NATS`);
  const starting = startUp(`zpsend-${service.name} on ${host}`, { settings, own, log, options, supervisor });
  const first = await Promise.race([starting, ended]).catch((thrown) => ZpsendError.from(thrown));
  if (typeof first === 'string') {
    await supervisor.stopping(first);
    return 0;
  }
  if (first instanceof ZpsendError) {
    log.error('service.failed', `${first.code}: ${first.message}`, { code: first.code });
    await supervisor.stopping(first.message);
    if (options.private) process.stdout.write(`${JSON.stringify({ error: first.toBody() })}\n`);
    return statusOf(first);
  }
  const { bus, dataConnection, name } = first;
  const current = openCurrentSettings(settings);
  const context = {
    settings: current.settings,
    host,
    machine: own.machine,
    instance: newId(),
    log,
    bus,
    dataConnection,
    zfs: createZfs({ host, env: options.env }),
    clock,
  };
  const { private: isPrivate, ...environment } = options;
  const reloadDeps = { ...environment, check: (read: Settings) => service.check?.(read), log };
  const readAgain = () => current.replace(reload(reloadDeps, current.settings.now));
  return serveUntilEnd(service, context, { name, ended, supervisor, isPrivate, reloads, readAgain });
}

interface ServeOptions {
  readonly name: HostName;
  /** Resolves with a signal, or with the end of the command that started this service. */
  readonly ended: Promise<string>;
  readonly supervisor: Supervisor;
  readonly isPrivate: boolean;
  readonly reloads: ReloadRequests;
  /** Reads the configuration again. */
  readAgain(): void;
}

/** Begins the service, serves its endpoints until the service has to end, and stops it. @returns the exit status */
async function serveUntilEnd(
  service: Service,
  context: ServiceContext,
  { name, ended, supervisor, isPrivate, reloads, readAgain }: ServeOptions,
): Promise<number> {
  const { host, instance, log, bus, dataConnection, clock } = context;
  const running = await service.begin(context);
  const silence = announce(bus, identityOf(service, context), running.endpoints);
  const watch = watchEndpoints({ host, bus, log, endpoints: running.endpoints, clock });
  const denial = await watch.first;
  if (!denial) {
    const isUseful = payloadTrouble(bus) === undefined;
    const words = `${service.name} ${version} (${instance}) is ${isUseful ? 'ready on' : 'connected to'} ${bus.server}`;
    log.info(isUseful ? 'service.ready' : 'service.connected', words, { instance });
    if (isPrivate) process.stdout.write(`${JSON.stringify({ instance })}\n`);
    else name.lookAround();
    const trouble = () => (watch.denial ?? payloadTrouble(bus))?.message;
    supervisor.serves({ bus, dataConnection, where: () => `${service.name} on ${bus.server}`, trouble });
  } else if (isPrivate) process.stdout.write(`${JSON.stringify({ error: denial.toBody() })}\n`);

  reloads.serve(() => supervisor.reload(readAgain));
  const lost = Promise.race([bus.closed, dataConnection.closed]).then((error) => error ?? new Error('closed'));
  const reason = denial ?? (await Promise.race([ended, lost, name.lost, bus.refusal.over]));
  reloads.stop();
  log[reason instanceof ZpsendError ? 'error' : 'info']('service.stopping', `stopping: ${wordsOf(reason)}`, {
    ...(reason instanceof ZpsendError && { code: reason.code }),
  });
  clock.after(timing.service.stopMs, () => {
    log.error('service.stop-forced', 'stopping takes too long; ending now');
    process.exit(1);
  });
  await supervisor.stopping(wordsOf(reason));
  name.release();
  watch.stop();
  silence();
  for (const endpoint of running.endpoints) endpoint.stop();
  await running.stop();
  await dataConnection.close();
  await bus.close();
  log.info('service.stopped', 'stopped');
  return reason instanceof Error ? statusOf(reason) : 0;
}

/** 2 for an error that needs a fix before another start: no supervisor need retry. */
const statusOf = (error: Error): number =>
  error instanceof ZpsendError && (['BAD_REQUEST', 'OTHER_MACHINE'].includes(error.code) || isDeniedEndpoint(error))
    ? 2
    : 1;

function wordsOf(reason: string | Error): string {
  if (typeof reason === 'string') return reason;
  if (reason instanceof ZpsendError) return `${reason.code}: ${reason.message}`;
  return `the connection to NATS is closed: ${reason.message}`;
}

const identityOf = ({ name, description }: Service, { host, instance, machine }: ServiceContext): ServiceIdentity => ({
  name: `zpsend-${name}`,
  id: instance,
  version,
  description: `${description}, on ${host}`,
  metadata: {
    host,
    ...(machine.id !== undefined && { machine: machine.id }),
    ...(machine.boot !== undefined && { boot: machine.boot }),
  },
});

interface StartUp {
  readonly settings: Settings;
  readonly own: OwnMachine;
  readonly log: Log;
  readonly options: RunOptions;
  readonly supervisor: Supervisor;
}

/** Connects, and takes the host name. */
async function startUp(
  called: string,
  { settings, own, log, options, supervisor }: StartUp,
): Promise<{ bus: Bus; dataConnection: DataConnection; name: HostName }> {
  const { env, envFile, private: isPrivate } = options;
  const { host } = settings;
  const onStatus = (event: NatsEvent, text: string) => {
    log.warn(event, text);
    supervisor.status(text);
  };
  const places = { env, envFile, config: natsConfigOf(settings), host, self: { host, machine: own.machine } };
  const bus = await connectBus({ ...places, name: called, wait: !isPrivate, onStatus });
  const name = await takeHostName({ host, own, bus, log });
  const dataConnection = await openDataConnection({ ...bus.options, name: `${called} (data)` }, bus.refusal);
  return { bus, dataConnection, name };
}
