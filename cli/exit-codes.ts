import { type Code, ZpsendError } from '../schemas/errors.ts';

/** The exit statuses, as in the help and the README. */
export const exit = { done: 0, failed: 1, usage: 2, partly: 3, interrupted: 130 } as const;

/** What each of them means, for docs/reference/exit-codes.md and the man pages. */
export const exitMeanings: Readonly<Record<keyof typeof exit, string>> = {
  done: 'Done, or nothing to do.',
  failed: 'Failed.',
  usage: 'Wrong usage, configuration or input file. Nothing was started.',
  partly: 'Some targets, or some datasets of a package, failed.',
  interrupted: 'Interrupted (128 + SIGINT, as in a shell).',
};

export const exitFor = (code: Code): number => (code === 'BAD_REQUEST' ? exit.usage : exit.failed);

/** The result for one target: undefined for success, `partly`, or the code of its error. */
export type TargetResult = undefined | 'partly' | Code;

/** The exit status for several targets. */
export function exitForAll(results: readonly TargetResult[]): number {
  const codes = results.filter((result) => result !== undefined);
  if (codes.length === 0) return exit.done;
  if (codes.length < results.length || codes.includes('partly')) return exit.partly;
  return codes.every((code) => code === 'BAD_REQUEST') ? exit.usage : exit.failed;
}

/** Wrong usage: nothing was sent yet. */
export const usage = (message: string): ZpsendError => new ZpsendError('BAD_REQUEST', message);
