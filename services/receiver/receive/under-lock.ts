import type { Lease } from '../../../lib/bus/locks/lease.ts';
import type { Zfs } from '../../../lib/zfs/zfs.ts';

type Held = Pick<Lease, 'assertHeld' | 'confirmed'>;

/** Does a command change something on the host? Each has its line here, so that a new one is judged. */
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
 * ZFS for a receive: the lease is asked by the clock right before each command that changes the target. A short command waits for a
 * renewal that is late; `receive` does not, and begins or throws at once.
 * @param lease undefined before the lock is taken: nothing may be changed then
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
