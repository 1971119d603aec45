import { jobContextsOf } from '../../../lib/plan/request/accept-request.ts';
import type { JobContext } from '../../../lib/plan/request/job-context.ts';
import { matches } from '../../../lib/plan/request/pattern.ts';
import { isLeftOut } from '../../../lib/plan/request/selection.ts';
import { targetDatasetOf } from '../../../lib/plan/request/target-name.ts';
import { ZpsendError } from '../../../schemas/errors.ts';
import { datasetOf, isWithin, leafOf } from '../../../schemas/names.ts';
import type { PolicyConfig } from '../../../schemas/policy.ts';
import type { SendRequest } from '../../../schemas/request.ts';

/** The targets of a dataset's new snapshots. */
export interface Policy {
  /** Its key in the bucket or in the file, for people. */
  readonly name: string;
  readonly host: string;
  readonly dataset: string;
  readonly isRecursive: boolean;
  /** One for each target. */
  readonly targets: readonly JobContext[];
  /** The request of each job, without a target. */
  readonly request: Omit<SendRequest, 'to'>;
}

/**
 * A policy of a host, from a value that its schema has accepted.
 * @throws ZpsendError BAD_REQUEST for one that can never work, with a message that names the fault
 */
export function policyOf(host: string, name: string, configured: PolicyConfig): Policy {
  const { to, recursive, package: kind, ...what } = configured;
  if (recursive === false && kind) {
    throw new ZpsendError('BAD_REQUEST', `package: ${kind} is recursive, which contradicts recursive: false`);
  }
  const isRecursive = recursive ?? kind !== undefined;
  const request: Policy['request'] = { ...what, ...(isRecursive && { package: 'replication' }) };
  const targets = jobContextsOf(
    host,
    to.map((target) => ({ ...request, to: target })),
  );
  return { name, host, dataset: what.dataset, isRecursive, targets, request };
}

/** The key of one dataset and one target. */
export const targetKey = ({ dataset, to }: Pick<SendRequest, 'dataset' | 'to'>): string =>
  `${datasetOf(dataset)} to ${to.host}:${targetDatasetOf({ dataset, to })}`;

/** Does the policy send this dataset of its host? */
export function covers({ dataset: root, isRecursive, request }: Policy, dataset: string): boolean {
  if (dataset === root) return true;
  if (!isRecursive || !isWithin(dataset, root)) return false;
  return !isLeftOut(request.exclude ?? [], dataset, root);
}

/** Does a new snapshot trigger it? Only one that it would send. */
export function isAbout(policy: Policy, snapshot: string): boolean {
  const wanted = policy.request.snapshots;
  const leaf = leafOf(snapshot) ?? '';
  return covers(policy, datasetOf(snapshot)) && (!wanted?.length || wanted.some((pattern) => matches(pattern, leaf)));
}
