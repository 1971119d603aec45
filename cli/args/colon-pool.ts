import type { ErrorBody } from '../../schemas/errors.ts';
import type { Info } from '../../schemas/host.ts';
import { thisHost } from './this-host.ts';

/** An argument that was read as HOST:DATASET, and the pool that it begins with where the colon is part of a name (zpool-create(8)). */
interface Reading {
  readonly text: string;
  readonly pool: string;
}

/** The arguments that name a host which the error is about. */
export function readingsOf(argv: readonly string[], { code, details }: ErrorBody): Reading[] {
  if (code !== 'UNREACHABLE' && code !== 'NO_SUCH_DATASET') return [];
  const host = details?.host ?? /^zfs\.([^.]+)\./.exec(String(details?.subject))?.[1];
  return argv.flatMap((text) => {
    const [, pool, named] = /^(([^/@#:]+):[^/@#]+)/.exec(text) ?? [];
    return pool !== undefined && named === host ? [{ text, pool }] : [];
  });
}

/** An error in words that say how to name a pool with a colon in its name, where this host has one and it was taken for a host. */
export function withReadings(error: ErrorBody, readings: readonly Reading[], pools: readonly string[]): ErrorBody {
  const meant = readings.find(({ pool }) => pools.includes(pool));
  if (!meant) return error;
  const hint = `${meant.pool} is a pool of this host: to name that, begin with a colon, ":${meant.text}"`;
  return { ...error, message: `${error.message}. ${hint}`.slice(0, 8192) };
}

/** A command's arguments, and the pools of the machine that it runs on. */
interface CommandHere {
  readonly env: NodeJS.ProcessEnv;
  readonly argv: readonly string[];
  readonly local: { zfsFacts(host: string): Promise<Pick<Info, 'pools'>> };
}

/** As withReadings, with the pools of this machine. Never fails. */
export async function explained(cli: CommandHere, error: ErrorBody): Promise<ErrorBody> {
  const readings = readingsOf(cli.argv, error);
  if (readings.length === 0) return error;
  const { pools } = await cli.local.zfsFacts(thisHost(cli.env));
  return withReadings(
    error,
    readings,
    pools.map(({ name }) => name),
  );
}
