/**
 * Room in a store that is full. One stream at a time waits for it: of two that wait each holds what the other lacks, and no target can
 * take either.
 */
export interface Room {
  /** Some stream waits. */
  readonly isWaitedFor: boolean;
  /** @returns false where another one waits */
  claim(id: string): boolean;
  release(id: string): void;
}

export function openRoom(): Room {
  let owner: string | undefined;
  return {
    get isWaitedFor() {
      return owner !== undefined;
    },
    claim(id) {
      owner ??= id;
      return owner === id;
    },
    release(id) {
      if (owner === id) owner = undefined;
    },
  };
}
