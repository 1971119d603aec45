import type { BucketPolicy } from '../../../lib/bus/policies/bucket.ts';
import { explain } from '../../../lib/bus/rpc/codec.ts';
import { parsePolicyKey } from '../../../lib/bus/subjects.ts';
import { ZpsendError } from '../../../schemas/errors.ts';
import { type PolicyConfig, policySchema } from '../../../schemas/policy.ts';
import { explainLoop, withoutLoops } from './loops.ts';
import { type Policy, policyOf } from './policy.ts';

export interface ActivePolicies {
  readonly policies: readonly Policy[];
  readonly refused: readonly { readonly name: string; readonly why: string }[];
}

/**
 * The policies of the configuration file.
 * @throws ZpsendError BAD_REQUEST for the first that can never work, or conflicts with those before it
 */
export function filePolicies(host: string, configured: readonly PolicyConfig[]): Policy[] {
  const accepted: Policy[] = [];
  const claims: Claims = new Map();
  for (const [at, one] of configured.entries()) {
    const name = `send.policies.${at}`;
    const why = whyNot(() => accepted.push(claimed(policyOf(host, name, one), claims)));
    if (why !== undefined) throw new ZpsendError('BAD_REQUEST', `${name}: ${why}`);
  }
  const [loop] = withoutLoops(accepted).left;
  if (loop) throw new ZpsendError('BAD_REQUEST', `${loop[0].name}: ${explainLoop(loop[1])}`);
  return accepted;
}

/**
 * The active policies of a host: those of its file, and those of the bucket for datasets that the file does not name. Of two
 * conflicting bucket policies the older wins, so every host decides alike. A loop closed by this host's file is visible only
 * here, so the file's policy is refused.
 */
export function activePolicies(
  host: string,
  file: readonly Policy[],
  entries: readonly BucketPolicy[],
): ActivePolicies {
  const refused: { name: string; why: string }[] = [];
  const named = new Set(file.map(({ dataset }) => dataset));
  const accepted: Policy[] = [];
  const claims: Claims = new Map();
  for (const { key, text } of entries.toSorted((a, b) => a.revision - b.revision)) {
    const of = parsePolicyKey(key)?.host;
    const why = whyNot(() => {
      if (of === undefined) throw new ZpsendError('BAD_REQUEST', 'the key is not <host>.<name>');
      const policy = policyOf(of, key, parsed(text));
      if (of === host && named.has(policy.dataset)) {
        throw new ZpsendError(
          'BAD_REQUEST',
          `the configuration file has a policy for ${policy.dataset}, which has precedence`,
        );
      }
      accepted.push(claimed(policy, claims));
    });
    // the other host reports its own policies
    if (why !== undefined && (of === host || of === undefined)) refused.push({ name: key, why });
  }
  for (const policy of file) {
    const why = whyNot(() => accepted.push(claimed(policy, claims)));
    if (why !== undefined) refused.push({ name: policy.name, why });
  }
  const { kept, left } = withoutLoops(accepted);
  for (const [policy, loop] of left) {
    if (policy.host === host) refused.push({ name: policy.name, why: explainLoop(loop) });
  }
  return { policies: kept.filter((policy) => policy.host === host), refused };
}

/** @throws ZpsendError BAD_REQUEST for a value that is no policy */
function parsed(text: string): PolicyConfig {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new ZpsendError('BAD_REQUEST', 'the value is not JSON');
  }
  const policy = policySchema.safeParse(value);
  if (policy.success) return policy.data;
  throw new ZpsendError('BAD_REQUEST', `not a policy: ${explain(policy.error)}`);
}

/** The policy of each target, as `host:dataset`. */
type Claims = Map<string, Policy>;

/** Claims the targets of a policy. @throws ZpsendError BAD_REQUEST where another policy has one of them */
function claimed(policy: Policy, claims: Claims): Policy {
  const own = policy.targets.map(({ targetHost, targetDataset }) => `${targetHost}:${targetDataset}`);
  for (const target of own) {
    const other = claims.get(target);
    if (!other) continue;
    const isSame = other.host === policy.host && other.dataset === policy.dataset;
    throw new ZpsendError(
      'BAD_REQUEST',
      `${other.name} sends ${isSame ? 'it' : `${other.host}:${other.dataset}`} to ${target} already`,
    );
  }
  for (const target of own) claims.set(target, policy);
  return policy;
}

function whyNot(work: () => unknown): string | undefined {
  try {
    work();
    return undefined;
  } catch (thrown) {
    return ZpsendError.from(thrown).message;
  }
}
