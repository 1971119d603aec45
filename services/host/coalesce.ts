/**
 * Does the work once for all who ask before it begins. Who asks while it runs waits for the next run: a listing that is
 * under way may be older than the caller's own observation.
 */
export function coalesce<T>(work: () => Promise<T>): () => Promise<T> {
  let running: Promise<unknown> = Promise.resolve();
  let next: Promise<T> | undefined;
  return () => {
    next ??= running.then(() => {
      next = undefined;
      const result = work();
      running = result.catch(() => {}).then(() => {});
      return result;
    });
    return next;
  };
}
