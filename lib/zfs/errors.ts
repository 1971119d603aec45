import { type Code, ZpsendError } from '../../schemas/errors.ts';
import { allowLine } from './delegation.ts';
import { rules } from './error-rules.ts';

/** How a `zfs` process failed, and its purpose. */
export interface Failure {
  /** For messages: "sending tank/a@2". */
  doing: string;
  host: string;
  stderr: string;
  exitCode?: number | undefined;
  signal?: string | undefined;
  /** The base of an incremental: distinguishes a missing base from a missing snapshot. */
  from?: string | undefined;
  /** With `user`, the source of the `zfs allow` command in the message of a missing permission. */
  argv?: readonly string[] | undefined;
  user?: string | undefined;
}

/** The error lines of stderr: wrapped messages joined, without warnings and usage text. */
function complaints(stderr: string): string[] {
  const joined = stderr.replace(/\n(match incremental source|since most recent snapshot)$/gm, ' $1');
  const usage = joined.search(/^usage:/m);
  const errors = usage > 0 ? joined.slice(0, usage) : joined;
  return errors.split('\n').filter((line) => line.trim() !== '' && !line.startsWith('Warning: '));
}

/** Reduces each quoted name to its `@` or `#`, so that a name cannot match a message. */
const masked = (line: string): string => line.replace(/'[^'\n]*'/g, (name) => `'${name.replace(/[^@#]/g, '')}'`);

const allowed = ({ argv, user }: Failure): string | undefined =>
  argv && user !== undefined ? allowLine(argv, user) : undefined;

/** Converts any failure of a `zfs` process to one coded error: what failed on which host, the line of ZFS, what to do. Never throws. */
export function toError(failure: Failure): ZpsendError {
  const lines = complaints(failure.stderr);
  const rule = rules.find(({ pattern }) => lines.some((line) => pattern.test(masked(line))));
  const line = (lines.find((line) => rule?.pattern.test(masked(line))) ?? lines[0] ?? '').slice(0, 1000);
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
      `${line}; ${allow === undefined ? rule.advice : `run there as root: ${allow}`}`,
    );
  }
  if (failure.signal) return make('ABORTED', `killed by ${failure.signal}${line && `: ${line}`}`);
  return make('INTERNAL', line || `exit status ${failure.exitCode ?? 'unknown'}, without a message`);
}

const isDenied = (line: string): boolean => line.endsWith('permission denied');

/**
 * The properties that a `zfs receive` with exit 0 could not set, one message each: the snapshot arrived without them
 * (zfs_ioctl.c returns the errors of `-o` and `-x` separately from the result of the receive).
 */
export function notSet(failure: Failure): string[] {
  const allow = allowed(failure);
  const excluded = new Set(failure.argv?.filter((_, at, argv) => argv[at - 1] === '-x'));
  return complaints(failure.stderr)
    .filter((line) => {
      const [, property = ''] = /^cannot receive (\S+) property on /.exec(masked(line)) ?? [];
      // an ordinary user who may not exclude a property may not set it either, so it did not arrive
      return property !== '' && !(excluded.has(property) && isDenied(line));
    })
    .map((line) => {
      const fix = allow !== undefined && isDenied(line) ? `; run there as root: ${allow}` : '';
      return `${failure.doing} on ${failure.host}: the snapshot arrived, but ${line}${fix}`;
    });
}

/** Does every error line report only that a named dataset or snapshot does not exist? Then the rest of the output is valid. */
export const onlyMissing = (stderr: string): boolean =>
  everyLine(stderr, /': (?:dataset does not exist|no such pool or dataset)$|^no datasets available$/);

/** Does any error line report that a named dataset or snapshot does not exist? */
export const isMissing = (stderr: string): boolean => stderr.includes("': dataset does not exist");

/** Does every error line of `zfs release` report only that the hold, its snapshot or its dataset does not exist? */
export const onlyNotHeld = (stderr: string): boolean =>
  everyLine(stderr, /': (?:no such tag on this dataset|dataset does not exist)$/);

/** Does every error line of `zfs hold` report only that the tag already exists? */
export const onlyTagExists = (stderr: string): boolean => everyLine(stderr, /': tag already exists on this dataset$/);

/** Does every error line of `zfs bookmark` report only that the bookmark already exists? */
export const onlyBookmarkExists = (stderr: string): boolean => everyLine(stderr, /': bookmark exists$/);

/** Does every error line of `zfs destroy` report only that the bookmark does not exist? */
export const onlyNoBookmark = (stderr: string): boolean => everyLine(stderr, /^bookmark '.*' does not exist\.$/);

/** Does `zfs receive -A` report that there is no partial state? */
export const nothingToAbort = (stderr: string): boolean =>
  everyLine(stderr, /' does not have any resumable receive state to abort$|^cannot open '.*': dataset does not exist$/);

/** Does every error line of `zfs create` report only that the dataset already exists? */
export const onlyExists = (stderr: string): boolean => everyLine(stderr, /': dataset already exists$/);

/** The column that this release of ZFS does not know, from "bad property list: invalid property 'keystatus'". */
export const unknownColumn = (stderr: string): string | undefined =>
  /bad property list: invalid property '([a-z_]+)'/.exec(stderr)?.[1];

/** illumos has no `zfs version`. */
export const unknownCommand = (stderr: string): boolean => stderr.startsWith('unrecognized command');

function everyLine(stderr: string, pattern: RegExp): boolean {
  const lines = complaints(stderr);
  return lines.length > 0 && lines.every((line) => pattern.test(line));
}
