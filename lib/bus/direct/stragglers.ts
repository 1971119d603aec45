/** Who of several receivers holds the others up. */
export interface Stragglers<Receiver> {
  /** Takes account of one look, at those for which others wait now. Returns one that is to be left behind. */
  look(holdUp: readonly Receiver[]): Receiver | undefined;
}

/**
 * A receiver is a straggler when it held the others up in more than half of the last `looks`: without it, they would have been at
 * least twice as fast. A pause that is shorter than that is borne.
 */
export function openStragglers<Receiver>(looks: number): Stragglers<Receiver> {
  const seen: (readonly Receiver[])[] = [];
  const count = (receiver: Receiver): number => seen.filter((look) => look.includes(receiver)).length;
  return {
    look(holdUp) {
      seen.push(holdUp);
      if (seen.length > looks) seen.shift();
      if (seen.length < looks) return undefined;
      const straggler = holdUp.find((receiver) => count(receiver) > looks / 2);
      // whoever is left is judged anew
      if (straggler !== undefined) seen.length = 0;
      return straggler;
    },
  };
}
