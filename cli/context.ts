import { type Bus, type BusOptions, connectBus } from '../lib/bus/connection/connect.ts';
import type { ProgramEnvironment } from '../lib/settings/environment-file.ts';
import { loadSettings, natsConfigOf, type Settings } from '../lib/settings/settings.ts';
import { ZpsendError } from '../schemas/errors.ts';
import type { Info } from '../schemas/host.ts';
import { withColonHint } from './args/colon-pool.ts';
import { selfOf } from './args/this-host.ts';
import type { Io } from './output/terminal.ts';

/** What this machine knows without a service and without NATS. */
export interface Local {
  /** ZFS and the pools here. @param host this host's name in messages */
  zfsFacts(host: string): Promise<Pick<Info, 'zfs' | 'zfsError' | 'pools'>>;
  /** The datasets here, or the snapshots of one. @param ms time limit in milliseconds */
  zfsNames(dataset: string | undefined, ms: number): Promise<string[]>;
  /** The checks of a service before it starts that no schema can make. @throws ZpsendError BAD_REQUEST */
  validate(settings: Settings): Promise<void>;
}

/** The context of every command. */
export interface Cli {
  readonly env: NodeJS.ProcessEnv;
  /** Where `env` comes from. */
  readonly program: ProgramEnvironment;
  readonly local: Local;
  readonly io: Io;
  /** The arguments, unparsed. */
  readonly argv: readonly string[];
  /** How to start this program again: the interpreter and the script. */
  readonly self: readonly [string, string];
  /** Wraps the action of a command, and keeps its exit status. */
  action<Args extends unknown[]>(run: (...args: Args) => Promise<number>): (...args: Args) => Promise<void>;
}

export interface JsonOption {
  json?: true;
}

/** Where a command finds NATS. @param settings undefined if the configuration cannot be read */
export function natsSources(
  { env, program }: Cli,
  settings: Settings | undefined,
): Pick<BusOptions, 'env' | 'envFile' | 'config'> {
  const envFile = program.state === 'read' ? program.path : undefined;
  return { env, envFile, config: settings && natsConfigOf(settings) };
}

/** Connects while `use` runs. @throws ZpsendError UNREACHABLE if no NATS server answers */
export async function withBus<T>(cli: Cli, use: (bus: Bus) => Promise<T>): Promise<T> {
  const onStatus = (_event: string, text: string) => cli.io.err(`zpsend: ${text}`);
  const settings = loadSettings(cli.env);
  const self = selfOf(settings);
  const about = { host: self.host, self, name: 'zpsend command' };
  const bus = await connectBus({ ...natsSources(cli, settings), ...about, wait: false, onStatus });
  try {
    return await use(bus);
  } catch (thrown) {
    throw thrown instanceof ZpsendError ? ZpsendError.fromBody(await withColonHint(cli, thrown.toBody())) : thrown;
  } finally {
    await bus.close();
  }
}
