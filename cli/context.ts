import { type Bus, type BusOptions, connectBus } from '../lib/bus/connection/connect.ts';
import type { ProgramEnvironment } from '../lib/settings/environment-file.ts';
import { natsConfigOf } from '../lib/settings/nats-config.ts';
import { loadSettings, type Settings } from '../lib/settings/settings.ts';
import { ZpsendError } from '../schemas/errors.ts';
import type { Info } from '../schemas/host.ts';
import { explained } from './args/colon-pool.ts';
import { selfOf } from './args/this-host.ts';
import type { Io } from './output/terminal.ts';

/** What this machine tells without a service and without NATS. */
export interface Local {
  /** Of ZFS and the pools here. @param host this host's name in messages */
  zfsFacts(host: string): Promise<Pick<Info, 'zfs' | 'zfsError' | 'pools'>>;
  /** Judges what a service does before it starts, and a schema cannot. @throws ZpsendError BAD_REQUEST */
  judge(settings: Settings): Promise<void>;
}

/** What every command is given. */
export interface Cli {
  readonly env: NodeJS.ProcessEnv;
  /** Where `env` is from. */
  readonly program: ProgramEnvironment;
  readonly local: Local;
  readonly io: Io;
  /** The command's arguments, as they were given. */
  readonly argv: readonly string[];
  /** How to start this program again: the interpreter and the script. */
  readonly self: readonly [string, string];
  /** Wraps what a command does, so that its exit status is kept. */
  action<Args extends unknown[]>(run: (...args: Args) => Promise<number>): (...args: Args) => Promise<void>;
}

export interface JsonOption {
  json?: true;
}

/** Where a command looks for NATS. @param settings undefined where the configuration cannot be read */
export function busPlaces(
  { env, program }: Cli,
  settings: Settings | undefined,
): Pick<BusOptions, 'env' | 'envFile' | 'config'> {
  const envFile = program.state === 'read' ? program.path : undefined;
  return { env, envFile, config: settings && natsConfigOf(settings) };
}

/** Connects for the length of one command. @throws ZpsendError UNREACHABLE when no NATS server answers */
export async function withBus<T>(cli: Cli, use: (bus: Bus) => Promise<T>): Promise<T> {
  const onStatus = (_event: string, text: string) => cli.io.err(`zpsend: ${text}`);
  const settings = loadSettings(cli.env);
  const self = selfOf(settings);
  const about = { host: self.host, self, name: 'zpsend command' };
  const bus = await connectBus({ ...busPlaces(cli, settings), ...about, wait: false, onStatus });
  try {
    return await use(bus);
  } catch (thrown) {
    throw thrown instanceof ZpsendError ? ZpsendError.fromBody(await explained(cli, thrown.toBody())) : thrown;
  } finally {
    await bus.close();
  }
}
