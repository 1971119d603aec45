/** The subject that has the contenders act, if they hold the lock. */
export const acts = 'contenders.act';

/** What a contender reports. Times are milliseconds of the machine's monotonic clock. */
export type Report =
  | { readonly type: 'ready'; readonly who: string }
  | { readonly type: 'refused'; readonly who: string; readonly code: string }
  /** Its lease was valid all the time. */
  | { readonly type: 'held'; readonly who: string; readonly name: string; readonly from: number; readonly to: number }
  /** From the acquisition to the release, or to when its lease reported the loss. */
  | {
      readonly type: 'taken';
      readonly who: string;
      readonly name: string;
      readonly from: number;
      readonly to: number;
      readonly why: 'lost' | 'released';
    };

interface Span {
  readonly name: string;
  readonly from: number;
  readonly to: number;
}

export interface Start {
  readonly name: string;
  readonly at: number;
}

/** How long two spans of different leases lie over each other, in milliseconds, each pair that does. */
export function overlaps(spans: readonly Span[]): { readonly names: readonly [string, string]; readonly ms: number }[] {
  const sorted = spans.toSorted((one, other) => one.from - other.from);
  return sorted.flatMap((one, at) =>
    sorted.slice(at + 1).flatMap((other) => {
      const ms = Math.min(one.to, other.to) - other.from;
      return ms > 0 && one.name !== other.name ? [{ names: [one.name, other.name] as const, ms }] : [];
    }),
  );
}

/** Processes that started while another lease than theirs was valid. */
export const intruders = (starts: readonly Start[], leases: readonly Span[]): Start[] =>
  starts.filter(({ name, at }) => leases.some((span) => span.name !== name && span.from < at && at < span.to));
