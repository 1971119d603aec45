import type { ZpsendError } from '../../schemas/errors.ts';
import { toError } from './errors.ts';
import { type Outcome, runQuery, run as runToEnd, type ZfsEnvironment } from './run.ts';

/** Does the caller accept a command that failed with this stderr? */
type Tolerated = (stderr: string) => boolean;

/** The `zfs` commands of one host. */
export interface Commands {
  readonly zfsEnvironment: ZfsEnvironment;
  /** The error for a failed command; `from` is the base of an incremental. */
  failed(outcome: Outcome, doing: string, from?: string): ZpsendError;
  /** Runs a command that may change a target, without a timeout. @throws ZpsendError if it fails and is not tolerated */
  run(argv: string[], doing: string, tolerated?: Tolerated): Promise<Outcome>;
  /** Runs a command that changes no data. @throws ZpsendError as `run`, and TIMEOUT */
  runWithTimeout(argv: string[], doing: string, tolerated?: Tolerated): Promise<Outcome>;
}

export function commandsOf(zfsEnvironment: ZfsEnvironment): Commands {
  const failed: Commands['failed'] = (outcome, doing, from) =>
    toError({ ...outcome, doing, host: zfsEnvironment.host, from });
  const checked =
    (runner: typeof runToEnd): Commands['run'] =>
    async (argv, doing, tolerated) => {
      const outcome = await runner(zfsEnvironment, 'zfs', argv, doing);
      if (outcome.ok || tolerated?.(outcome.stderr)) return outcome;
      throw failed(outcome, doing);
    };
  return { zfsEnvironment, failed, run: checked(runToEnd), runWithTimeout: checked(runQuery) };
}

/** Names in one command line: far below ARG_MAX (2 MiB on Linux), even with the longest names. */
const namesAtOnce = 4000;

export function batches(names: readonly string[], most = namesAtOnce): string[][] {
  const batches: string[][] = [];
  for (let at = 0; at < names.length; at += most) batches.push(names.slice(at, at + most));
  return batches;
}
