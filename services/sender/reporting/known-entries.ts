import type { Bus } from '../../../lib/bus/connection/connect.ts';
import { readStatus } from '../../../lib/bus/status/read.ts';
import { statusKey } from '../../../lib/bus/subjects.ts';
import type { StatusEntry } from '../../../schemas/status.ts';
import type { StatusWriter } from './status-writer.ts';

export interface Known {
  readonly host: string;
  readonly bus: Bus;
  readonly status: Pick<StatusWriter, 'pending'>;
}

/** The status entries of a target; where they could not be read, only those of this process. */
export interface KnownRows {
  readonly entries: ReadonlyMap<string, StatusEntry>;
  readonly isRead: boolean;
}

/** Entries that this process writes, or has just written, of one target or all. */
export const pendingEntries = ({ host, status }: Known, target?: string): [key: string, StatusEntry][] =>
  status.pending().filter(([key]) => key.startsWith(target === undefined ? `${host}.to.` : `${host}.to.${target}.`));

/**
 * The status entries of this source, with those that are still to be written, by key.
 * @param target only of this target
 * @throws ZpsendError where it cannot be read
 */
export async function knownEntries(deps: Known, target?: string): Promise<Map<string, StatusEntry>> {
  const before = pendingEntries(deps, target);
  const stored = (await readStatus(deps.bus, deps.host, target))?.found ?? [];
  const rows = stored.map((one): [string, StatusEntry] => [statusKey(one), one.entry]);
  return new Map([...rows, ...before, ...pendingEntries(deps, target)]);
}

/** The status entries of a target, read once. After a failure they are read again. */
export function openKnownRows(
  deps: Known,
  target: string,
  read = knownEntries,
): { readonly isAsked: boolean; rows(): Promise<KnownRows> } {
  let asked: Promise<KnownRows> | undefined;
  return {
    get isAsked() {
      return asked !== undefined;
    },
    rows() {
      asked ??= read(deps, target).then(
        (entries) => ({ entries, isRead: true }),
        () => {
          asked = undefined;
          return { entries: new Map(pendingEntries(deps, target)), isRead: false };
        },
      );
      return asked;
    },
  };
}
