/**
 * The turn to wait for space in a full store. Only one stream waits: two incomplete ones would block each other, since no target can
 * receive either.
 */
export interface SpaceQueue {
  /** Does any stream wait? */
  readonly isWaitedFor: boolean;
  /** Takes the turn. @returns false if another stream has it */
  claim(id: string): boolean;
  release(id: string): void;
}

export function openSpaceQueue(): SpaceQueue {
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
