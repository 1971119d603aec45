import type { ZpsendError } from '../../schemas/errors.ts';
import { toError } from './errors.ts';
import { type Outcome, run, runQuery, type ZfsEnvironment } from './run.ts';

/** Is what a failed command said no failure to whoever ran it? */
type Tolerated = (stderr: string) => boolean;

/** The commands of one host: what they refuse is a ZpsendError. */
export interface Commands {
  readonly zfsEnvironment: ZfsEnvironment;
  /** What a refusal means; `from` is the base that an incremental started from. */
  failed(outcome: Outcome, doing: string, from?: string): ZpsendError;
  /** Runs one that may change a target, however long that takes. */
  must(argv: string[], doing: string, tolerated?: Tolerated): Promise<Outcome>;
  /** Runs one that changes no data, for so long at most. */
  runWithTimeout(argv: string[], doing: string, tolerated?: Tolerated): Promise<Outcome>;
}

export function commandsOf(zfsEnvironment: ZfsEnvironment): Commands {
  const failed: Commands['failed'] = (outcome, doing, from) =>
    toError({ ...outcome, doing, host: zfsEnvironment.host, from });
  const through =
    (way: typeof run): Commands['must'] =>
    async (argv, doing, tolerated) => {
      const outcome = await way(zfsEnvironment, 'zfs', argv, doing);
      if (outcome.ok || tolerated?.(outcome.stderr)) return outcome;
      throw failed(outcome, doing);
    };
  return { zfsEnvironment, failed, must: through(run), runWithTimeout: through(runQuery) };
}

/** Far below ARG_MAX (2 MiB on Linux) with the longest of names. */
const namesAtOnce = 4000;

export function batches(names: readonly string[], most = namesAtOnce): string[][] {
  const batches: string[][] = [];
  for (let at = 0; at < names.length; at += most) batches.push(names.slice(at, at + most));
  return batches;
}
