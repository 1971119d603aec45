import type { Zfs } from '../../../../lib/zfs/zfs.ts';

/** Equal calls at the same time are one call, with one result. */
function together<T>(): (key: string, ask: () => Promise<T>) => Promise<T> {
  const running = new Map<string, Promise<T>>();
  return (key, ask) => {
    const answer = running.get(key) ?? ask().finally(() => running.delete(key));
    running.set(key, answer);
    return answer;
  };
}

/**
 * ZFS for each job of a fan-out. They begin together with the same listing of the source and the same estimates, which are made
 * once and not for each target. Only a job's first listing may be shared: a later one has to show the changes since.
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
