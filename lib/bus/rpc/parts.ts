/** The position of one of several replies, which shows whether all have arrived. */
export interface Part {
  /** From 1. */
  readonly part: number;
  /** Another part follows. */
  readonly more: boolean;
}

/** Numbers parts, and marks whether another follows. */
export const numbered = <T extends object>(parts: readonly T[]): (T & Part)[] =>
  parts.map((one, at) => ({ ...one, part: at + 1, more: at + 1 < parts.length }));

/** Are these all parts, in order? */
export const isComplete = (parts: readonly Part[]): boolean =>
  parts.length > 0 && parts.every(({ part, more }, at) => part === at + 1 && more === at + 1 < parts.length);
