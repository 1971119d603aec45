import type { Lease } from '../../../lib/bus/locks/lease.ts';
import type { Zfs } from '../../../lib/zfs/zfs.ts';

type Held = Pick<Lease, 'assertHeld' | 'confirmed'>;

/** Does a command change anything on the host? All are listed, so that a new one is classified. */
const changing: Record<keyof Zfs, boolean> = {
  list: false,
  listEach: false,
  inspect: false,
  send: false,
  content: false,
  writtenSince: false,
  holds: false,
  properties: false,
  estimate: false,
  version: false,
  pools: false,
  poolFacts: false,
  receive: true,
  createPlaceholder: true,
  destroySnapshots: true,
  markRollback: true,
  rollback: true,
  rename: true,
  abortReceive: true,
  hold: true,
  release: true,
  bookmark: true,
  destroyBookmark: true,
};

type Command = (...args: never[]) => unknown;

/**
 * ZFS for a receive: the lease is checked right before each command that changes the target. A short command waits for a late
 * renewal. `receive` does not: it starts or throws at once.
 * @param lease the current one, which throws before the lock is taken
 */
export function underLease(zfs: Zfs, lease: () => Held): Zfs {
  const guarded = (name: keyof Zfs): Command => {
    const command = zfs[name] as Command;
    if (!changing[name]) return command;
    if (name === 'receive') {
      return (...args) => {
        lease().assertHeld();
        return command(...args);
      };
    }
    return async (...args) => {
      await lease().confirmed();
      lease().assertHeld();
      return command(...args);
    };
  };
  const names = Object.keys(changing) as (keyof Zfs)[];
  return Object.fromEntries(names.map((name) => [name, guarded(name)])) as unknown as Zfs;
}
