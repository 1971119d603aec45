import { type Code, ZpsendError } from '../schemas/errors.ts';

/** The exit statuses, as the help and the README tell them. */
export const exit = {
  done: 0,
  failed: 1,
  /** Wrong usage, configuration or input file; nothing was started. */
  usage: 2,
  /** Some targets, or some datasets of a package, failed and some did not. */
  partly: 3,
  /** 128 + SIGINT, as a shell reports it. */
  interrupted: 130,
} as const;

export const exitFor = (code: Code): number => (code === 'BAD_REQUEST' ? exit.usage : exit.failed);

/** How it went with one target: well, for some datasets only, or not at all and why. */
export type Verdict = undefined | 'partly' | Code;

/** The status of a command that did the same for several targets. */
export function exitForAll(verdicts: readonly Verdict[]): number {
  const codes = verdicts.filter((verdict) => verdict !== undefined);
  if (codes.length === 0) return exit.done;
  if (codes.length < verdicts.length || codes.includes('partly')) return exit.partly;
  return codes.every((code) => code === 'BAD_REQUEST') ? exit.usage : exit.failed;
}

/** Wrong usage, before anything was asked of anyone. */
export const usage = (message: string): ZpsendError => new ZpsendError('BAD_REQUEST', message);
