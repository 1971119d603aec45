/** Lets others wait until something has changed. */
export interface Change {
  /** Wakes all that wait now. */
  wake(): void;
  /** Resolves at the next wake. */
  changed(): Promise<void>;
}

export function openChange(): Change {
  let next = Promise.withResolvers<void>();
  return {
    wake() {
      next.resolve();
      next = Promise.withResolvers();
    },
    changed: () => next.promise,
  };
}
