import { isWithin } from '../../../schemas/names.ts';
import { covers, type Policy } from './policy.ts';

/** A dataset of a host, with or without its descendants. */
interface Region {
  readonly host: string;
  readonly root: string;
  readonly isTree: boolean;
}

/** The part of a region that a policy sends. */
function readBy(policy: Policy, { host, root, isTree }: Region): Region | undefined {
  if (policy.host !== host) return undefined;
  if (isWithin(root, policy.dataset)) {
    return covers(policy, root) ? { host, root, isTree: isTree && policy.isRecursive } : undefined;
  }
  return isTree && isWithin(policy.dataset, root)
    ? { host, root: policy.dataset, isTree: policy.isRecursive }
    : undefined;
}

/** The regions to which a policy sends its part of a region. */
function writtenBy(policy: Policy, region: Region): Region[] {
  const read = readBy(policy, region);
  if (!read) return [];
  const rest = read.root.slice(policy.dataset.length);
  return policy.targets.map(({ targetHost, targetDataset }) => ({
    host: targetHost,
    root: targetDataset + rest,
    isTree: read.isTree,
  }));
}

/** Policies by the host that they send from. */
type ByHost = ReadonlyMap<string, readonly Policy[]>;

const byHost = (policies: readonly Policy[]): ByHost => Map.groupBy(policies, ({ host }) => host);

/** The policies of a loop through which a policy's datasets come back into it, that policy first. */
function loopOf(policy: Policy, all: ByHost): readonly Policy[] | undefined {
  const { host, dataset: root, isRecursive: isTree } = policy;
  const paths = writtenBy(policy, { host, root, isTree }).map((region) => ({ region, path: [policy] }));
  const passed = new Set<Policy>([policy]);
  for (const { region, path } of paths) {
    if (readBy(policy, region)) return path;
    for (const other of all.get(region.host) ?? []) {
      const further = passed.has(other) ? [] : writtenBy(other, region);
      if (further.length > 0) passed.add(other);
      paths.push(...further.map((next) => ({ region: next, path: [...path, other] })));
    }
  }
  return undefined;
}

/**
 * Policies without loops: of each loop the last policy in the list is left out. Only names and patterns decide, so a loop may
 * consist of datasets that do not exist.
 * @returns the policies that stay, and the loop of each that is left out
 */
export function withoutLoops(policies: readonly Policy[]): {
  readonly kept: readonly Policy[];
  readonly left: ReadonlyMap<Policy, readonly Policy[]>;
} {
  const left = new Map<Policy, readonly Policy[]>();
  for (;;) {
    const kept = policies.filter((policy) => !left.has(policy));
    const all = byHost(kept);
    const loops = kept.map((policy) => loopOf(policy, all)).filter((loop) => loop !== undefined);
    if (loops.length === 0) return { kept, left };
    for (const loop of loops) {
      const last = kept.findLast((policy) => loop.includes(policy));
      if (last) left.set(last, loop);
    }
  }
}

/** A message about a loop. */
export const explainLoop = (loop: readonly Policy[]): string =>
  `what is sent comes back into ${loop[0]?.dataset} on ${loop[0]?.host}: ${loop
    .map(
      (policy) =>
        `${policy.host}:${policy.dataset} goes to ${policy.targets.map(({ targetHost, targetDataset }) => `${targetHost}:${targetDataset}`).join(', ')} (${policy.name})`,
    )
    .join('; ')}. Exclude what comes back, or drop one of them`;
