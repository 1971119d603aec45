import { matches } from '../../../lib/plan/request/pattern.ts';
import { isLeftOut } from '../../../lib/plan/request/selection.ts';
import { targetRoot } from '../../../lib/plan/request/target-name.ts';
import { assertNoOverlap } from '../../../lib/plan/request/target-overlap.ts';
import { requestFault } from '../../../lib/plan/request/validate-request.ts';
import { ZpsendError } from '../../../schemas/errors.ts';
import { datasetOf, isWithin, leafOf } from '../../../schemas/names.ts';
import type { SendRequest, SendStart, Target } from '../../../schemas/plan.ts';
import type { PolicyConfig } from '../../../schemas/policy.ts';

/** Which dataset of a host goes where when it has a new snapshot. */
export interface Policy {
  /** Where it stands, for people. */
  readonly name: string;
  readonly host: string;
  readonly dataset: string;
  readonly isRecursive: boolean;
  readonly targets: readonly Target[];
  /** What each job is asked for, without its targets. */
  readonly request: Omit<SendRequest, 'to'>;
}

/**
 * A policy of a host, from what its schema has accepted.
 * @throws ZpsendError BAD_REQUEST for one that can never work, in words that name what is wrong
 */
export function policyOf(host: string, name: string, configured: PolicyConfig): Policy {
  const { to, recursive, package: kind, ...what } = configured;
  if (recursive === false && kind) {
    throw new ZpsendError('BAD_REQUEST', `package: ${kind} is recursive, and recursive: false says otherwise`);
  }
  const isRecursive = recursive ?? kind !== undefined;
  const policy: Policy = {
    name,
    host,
    dataset: what.dataset,
    isRecursive,
    targets: to,
    request: { ...what, ...(isRecursive && { package: 'replication' }) },
  };
  const requests = policy.targets.map((target) => ({ ...policy.request, to: target }));
  for (const request of requests) {
    const fault = requestFault(request, { host }, request.to);
    if (fault) throw ZpsendError.fromBody(fault.error);
  }
  assertNoOverlap(requests);
  return policy;
}

/** The job of a policy to some of its targets. */
export const startOf = ({ request }: Policy, to: readonly Target[]): SendStart => ({ ...request, to: [...to] });

/** The dataset on the target. */
export const rootAt = ({ request }: Policy, to: Target): string => targetRoot({ ...request, to });

/** What one dataset's way to one place is known by, whoever sends it. */
export const targetKey = ({ dataset, to }: Pick<SendRequest, 'dataset' | 'to'>): string =>
  `${datasetOf(dataset)} to ${to.host}:${targetRoot({ dataset, to })}`;

/** Is a dataset of its host sent by it? */
export function covers({ dataset: root, isRecursive, request }: Policy, dataset: string): boolean {
  if (dataset === root) return true;
  if (!isRecursive || !isWithin(dataset, root)) return false;
  return !isLeftOut(request.exclude ?? [], dataset, root);
}

/** Does a new snapshot set it off? One that it would not send does not. */
export function isAbout(policy: Policy, snapshot: string): boolean {
  const wanted = policy.request.snapshots;
  const leaf = leafOf(snapshot) ?? '';
  return covers(policy, datasetOf(snapshot)) && (!wanted?.length || wanted.some((pattern) => matches(pattern, leaf)));
}
