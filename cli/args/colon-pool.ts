import type { ErrorBody } from '../../schemas/errors.ts';
import type { Info } from '../../schemas/host.ts';
import { thisHost } from './this-host.ts';

/** An argument that was parsed as HOST:DATASET, and the pool that it names if the colon is part of the pool's name (zpool-create(8)). */
interface Ambiguous {
  readonly text: string;
  readonly pool: string;
}

/** The arguments whose host the error is about. */
export function ambiguousIn(argv: readonly string[], { code, details }: ErrorBody): Ambiguous[] {
  if (code !== 'UNREACHABLE' && code !== 'NO_SUCH_DATASET') return [];
  const host = details?.host ?? /^zfs\.([^.]+)\./.exec(String(details?.subject))?.[1];
  return argv.flatMap((text) => {
    const [, pool, named] = /^(([^/@#:]+):[^/@#]+)/.exec(text) ?? [];
    return pool !== undefined && named === host ? [{ text, pool }] : [];
  });
}

/** Adds how to name a pool with a colon in its name, if this host has the pool that was parsed as a host. */
export function withPoolHint(error: ErrorBody, ambiguous: readonly Ambiguous[], pools: readonly string[]): ErrorBody {
  const meant = ambiguous.find(({ pool }) => pools.includes(pool));
  if (!meant) return error;
  const hint = `${meant.pool} is a pool of this host: to name it, put a colon before it, ":${meant.text}"`;
  return { ...error, message: `${error.message}. ${hint}`.slice(0, 8192) };
}

/** The arguments of a command, and the pools of its machine. */
interface CommandHere {
  readonly env: NodeJS.ProcessEnv;
  readonly argv: readonly string[];
  readonly local: { zfsFacts(host: string): Promise<Pick<Info, 'pools'>> };
}

/** withPoolHint with the pools of this machine. Never fails. */
export async function withColonHint(cli: CommandHere, error: ErrorBody): Promise<ErrorBody> {
  const ambiguous = ambiguousIn(cli.argv, error);
  if (ambiguous.length === 0) return error;
  const { pools } = await cli.local.zfsFacts(thisHost(cli.env));
  return withPoolHint(
    error,
    ambiguous,
    pools.map(({ name }) => name),
  );
}
