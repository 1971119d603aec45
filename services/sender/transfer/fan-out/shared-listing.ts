import type { Zfs } from '../../../../lib/zfs/zfs.ts';

/** What several ask at the same time is asked once, and all get that answer. */
function together<T>(): (key: string, ask: () => Promise<T>) => Promise<T> {
  const running = new Map<string, Promise<T>>();
  return (key, ask) => {
    const answer = running.get(key) ?? ask().finally(() => running.delete(key));
    running.set(key, answer);
    return answer;
  };
}

/**
 * ZFS for each job of a fan. They begin together with the same question, what the source has, and then how large a step is: a list
 * of many thousand snapshots is made once, not by one process for each target. Only a job's first list may be another's: what is
 * listed later has to show what the job itself did, or was surprised by.
 */
export function shareListing(zfs: Zfs): () => Zfs {
  const lists = together<Awaited<ReturnType<Zfs['list']>>>();
  const estimates = together<Awaited<ReturnType<Zfs['estimate']>>>();
  return () => {
    let hasListed = false;
    return {
      ...zfs,
      list(what) {
        if (hasListed) return zfs.list(what);
        hasListed = true;
        return lists(JSON.stringify(what), () => zfs.list(what));
      },
      estimate: (stream) => estimates(JSON.stringify(stream), () => zfs.estimate(stream)),
    };
  };
}
