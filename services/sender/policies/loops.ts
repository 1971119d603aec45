import { isWithin } from '../../../schemas/names.ts';
import { covers, type Policy, rootAt } from './policy.ts';

/** A dataset of a host, with all below it or without. */
interface Region {
  readonly host: string;
  readonly root: string;
  readonly isTree: boolean;
}

/** What of a region a policy reads. */
function readBy(policy: Policy, { host, root, isTree }: Region): Region | undefined {
  if (policy.host !== host) return undefined;
  if (isWithin(root, policy.dataset)) {
    return covers(policy, root) ? { host, root, isTree: isTree && policy.isRecursive } : undefined;
  }
  return isTree && isWithin(policy.dataset, root)
    ? { host, root: policy.dataset, isTree: policy.isRecursive }
    : undefined;
}

/** Where what a policy reads of a region comes to lie. */
function writtenBy(policy: Policy, region: Region): Region[] {
  const read = readBy(policy, region);
  if (!read) return [];
  const rest = read.root.slice(policy.dataset.length);
  return policy.targets.map((to) => ({ host: to.host, root: rootAt(policy, to) + rest, isTree: read.isTree }));
}

/** Policies by the host that they send from. */
type ByHost = ReadonlyMap<string, readonly Policy[]>;

const byHost = (policies: readonly Policy[]): ByHost => Map.groupBy(policies, ({ host }) => host);

/** The way on which what a policy sends comes back into what it sends, as the policies on it, itself first. */
function loopOf(policy: Policy, all: ByHost): readonly Policy[] | undefined {
  const { host, dataset: root, isRecursive: isTree } = policy;
  const ways = writtenBy(policy, { host, root, isTree }).map((region) => ({ region, way: [policy] }));
  const passed = new Set<Policy>([policy]);
  for (const { region, way } of ways) {
    if (readBy(policy, region)) return way;
    for (const other of all.get(region.host) ?? []) {
      const on = passed.has(other) ? [] : writtenBy(other, region);
      if (on.length > 0) passed.add(other);
      ways.push(...on.map((further) => ({ region: further, way: [...way, other] })));
    }
  }
  return undefined;
}

/**
 * Policies among which nothing that is sent comes back to where it was sent from: of each circle the last in the list is left
 * out. Names and patterns alone decide, so a circle may be one on which nothing travels, of datasets that are not there.
 * @returns those that stay, and of each that is left out the circle
 */
export function withoutLoops(policies: readonly Policy[]): {
  readonly kept: readonly Policy[];
  readonly left: ReadonlyMap<Policy, readonly Policy[]>;
} {
  const left = new Map<Policy, readonly Policy[]>();
  for (;;) {
    const kept = policies.filter((policy) => !left.has(policy));
    const all = byHost(kept);
    const circles = kept.map((policy) => loopOf(policy, all)).filter((circle) => circle !== undefined);
    if (circles.length === 0) return { kept, left };
    for (const circle of circles) {
      const last = kept.findLast((policy) => circle.includes(policy));
      if (last) left.set(last, circle);
    }
  }
}

/** A circle in words. */
export const loopWords = (way: readonly Policy[]): string =>
  `what is sent comes back into ${way[0]?.dataset} on ${way[0]?.host}: ${way
    .map(
      (policy) =>
        `${policy.host}:${policy.dataset} goes to ${policy.targets.map((to) => `${to.host}:${rootAt(policy, to)}`).join(', ')} (${policy.name})`,
    )
    .join('; ')}. Exclude what comes back, or drop one of them`;
