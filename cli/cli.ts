import { type Bus, connectBus } from '../lib/bus/connect.ts';
import type { Io } from './io.ts';

/** What every command is given. */
export interface Cli {
  readonly env: NodeJS.ProcessEnv;
  readonly io: Io;
  /** How to start this program again: the interpreter and the script. */
  readonly self: readonly [string, string];
  /** Wraps what a command does, so that its exit status is kept. */
  action<Args extends unknown[]>(run: (...args: Args) => Promise<number>): (...args: Args) => Promise<void>;
}

export interface JsonOption {
  json?: true;
}

/** Connects for the length of one command. @throws ZpsendError UNREACHABLE when no NATS server answers */
export async function withBus<T>({ env, io }: Cli, use: (bus: Bus) => Promise<T>): Promise<T> {
  const onStatus = (text: string) => io.err(`zpsend: ${text}`);
  const bus = await connectBus({ name: 'zpsend command', env, wait: false, onStatus });
  try {
    return await use(bus);
  } finally {
    await bus.close();
  }
}
