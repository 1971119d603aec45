import { type Code, ZpsendError } from '../../schemas/errors.ts';
import { allowLine } from './delegation.ts';
import { rules } from './error-rules.ts';

/** How a `zfs` process ended that did not end well, and what it was for. */
export interface Failure {
  /** What was being done, for people: "sending tank/a@2". */
  doing: string;
  host: string;
  stderr: string;
  exitCode?: number | undefined;
  signal?: string | undefined;
  /** The base of an incremental, so that its absence is told from the absence of the snapshot itself. */
  from?: string | undefined;
  /** What `zfs` was run with and by whom, so that a missing permission is told with the command that gives it. */
  argv?: readonly string[] | undefined;
  user?: string | undefined;
}

/** What zfs complains of, a line each: wrapped messages joined, without warnings and without the usage text. */
function complaints(stderr: string): string[] {
  const joined = stderr.replace(/\n(match incremental source|since most recent snapshot)$/gm, ' $1');
  const usage = joined.search(/^usage:/m);
  const said = usage > 0 ? joined.slice(0, usage) : joined;
  return said.split('\n').filter((line) => line.trim() !== '' && !line.startsWith('Warning: '));
}

/** Of a quoted name only its kind is left, so that no name can read like a message. */
const masked = (line: string): string => line.replace(/'[^'\n]*'/g, (name) => `'${name.replace(/[^@#]/g, '')}'`);

const allowed = ({ argv, user }: Failure): string | undefined =>
  argv && user !== undefined ? allowLine(argv, user) : undefined;

/** Any end of a `zfs` process becomes one coded error: what failed where, zfs's own line, and what to do. Total. */
export function toError(failure: Failure): ZpsendError {
  const said = complaints(failure.stderr);
  const rule = rules.find(({ pattern }) => said.some((line) => pattern.test(masked(line))));
  const line = (said.find((line) => rule?.pattern.test(masked(line))) ?? said[0] ?? '').slice(0, 1000);
  const allow = rule?.code === 'NOT_ALLOWED' ? allowed(failure) : undefined;
  const details = {
    stderr: failure.stderr.slice(0, 4096),
    ...(failure.exitCode !== undefined && { exitCode: failure.exitCode }),
    ...(failure.signal !== undefined && { signal: failure.signal }),
    ...(allow !== undefined && { allow }),
  };
  const make = (code: Code, what: string): ZpsendError =>
    new ZpsendError(code, `${failure.doing} on ${failure.host}: ${what}`, details);
  if (rule) {
    const baseGone = rule.code === 'NO_SUCH_SNAPSHOT' && failure.from && line.includes(`'${failure.from}'`);
    return make(
      baseGone ? 'BASE_MISSING' : rule.code,
      `${line}; ${allow === undefined ? rule.advice : `let root run there: ${allow}`}`,
    );
  }
  if (failure.signal) return make('ABORTED', `ended by ${failure.signal}${line && `: ${line}`}`);
  return make('INTERNAL', line || `exit status ${failure.exitCode ?? 'unknown'}, and it said nothing`);
}

const isDenied = (line: string): boolean => line.endsWith('permission denied');

/**
 * What a `zfs receive` that exited 0 could not set, for people, a line each: the snapshot is there and the property is not
 * (zfs_ioctl.c keeps the errors of `-o` and `-x` beside the result of the receive).
 */
export function notSet(failure: Failure): string[] {
  const allow = allowed(failure);
  const excluded = new Set(failure.argv?.filter((_, at, argv) => argv[at - 1] === '-x'));
  return complaints(failure.stderr)
    .filter((line) => {
      const [, property = ''] = /^cannot receive (\S+) property on /.exec(masked(line)) ?? [];
      // to an ordinary user: what he may not leave out he may not set, and so it did not arrive
      return property !== '' && !(excluded.has(property) && isDenied(line));
    })
    .map((line) => {
      const mend = allow !== undefined && isDenied(line) ? `; let root run there: ${allow}` : '';
      return `${failure.doing} on ${failure.host}: it arrived, but ${line}${mend}`;
    });
}

/** Is every complaint only that something named is not there? Then the rest of the answer holds. */
export const onlyMissing = (stderr: string): boolean =>
  everyLine(stderr, /': (?:dataset does not exist|no such pool or dataset)$|^no datasets available$/);

/** Does it complain, among other things, that something named is not there? */
export const isMissing = (stderr: string): boolean => stderr.includes("': dataset does not exist");

/** Is every complaint of `zfs release` only that the hold is gone already, with its tag, snapshot or dataset? */
export const onlyReleased = (stderr: string): boolean =>
  everyLine(stderr, /': (?:no such tag on this dataset|dataset does not exist)$/);

/** Is every complaint of `zfs hold` only that this tag holds the snapshot already? */
export const onlyHeld = (stderr: string): boolean => everyLine(stderr, /': tag already exists on this dataset$/);

/** Is every complaint of `zfs bookmark` only that it is there already? */
export const onlyMarked = (stderr: string): boolean => everyLine(stderr, /': bookmark exists$/);

/** Is every complaint of `zfs destroy` only that the bookmark is not there? */
export const onlyUnmarked = (stderr: string): boolean => everyLine(stderr, /^bookmark '.*' does not exist\.$/);

/** Is there nothing for `zfs receive -A` to abort? */
export const nothingToAbort = (stderr: string): boolean =>
  everyLine(stderr, /' does not have any resumable receive state to abort$|^cannot open '.*': dataset does not exist$/);

/** Is every complaint of `zfs create` only that the dataset is there already? */
export const onlyThere = (stderr: string): boolean => everyLine(stderr, /': dataset already exists$/);

/** The column that this release of ZFS does not know, of "bad property list: invalid property 'keystatus'". */
export const unknownColumn = (stderr: string): string | undefined =>
  /bad property list: invalid property '([a-z_]+)'/.exec(stderr)?.[1];

/** illumos has no `zfs version`. */
export const unknownCommand = (stderr: string): boolean => stderr.startsWith('unrecognized command');

function everyLine(stderr: string, pattern: RegExp): boolean {
  const lines = complaints(stderr);
  return lines.length > 0 && lines.every((line) => pattern.test(line));
}
