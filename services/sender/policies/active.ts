import type { BucketPolicy } from '../../../lib/bus/policies/bucket.ts';
import { explain } from '../../../lib/bus/rpc/codec.ts';
import { parsePolicyKey } from '../../../lib/bus/subjects.ts';
import { ZpsendError } from '../../../schemas/errors.ts';
import { type PolicyConfig, policySchema } from '../../../schemas/policy.ts';
import { loopWords, withoutLoops } from './loops.ts';
import { type Policy, policyOf, rootAt } from './policy.ts';

export interface ActivePolicies {
  readonly policies: readonly Policy[];
  readonly refused: readonly { readonly name: string; readonly why: string }[];
}

/**
 * The policies of the configuration file.
 * @throws ZpsendError BAD_REQUEST for the first that can never work, or does not go together with those before it
 */
export function filePolicies(host: string, configured: readonly PolicyConfig[]): Policy[] {
  const accepted: Policy[] = [];
  const places: Places = new Map();
  for (const [at, one] of configured.entries()) {
    const name = `send.policies.${at}`;
    const why = whyNot(() => accepted.push(placed(policyOf(host, name, one), places)));
    if (why !== undefined) throw new ZpsendError('BAD_REQUEST', `${name}: ${why}`);
  }
  const [circle] = withoutLoops(accepted).left;
  if (circle) throw new ZpsendError('BAD_REQUEST', `${circle[0].name}: ${loopWords(circle[1])}`);
  return accepted;
}

/**
 * What a host has in force: its file's policies, and those of the bucket for datasets that the file does not name. Of policies that
 * do not go together the older one in the bucket stays, which all hosts see alike; a circle that the file closes only this host
 * can see, so there it is the file's that is refused.
 */
export function activePolicies(
  host: string,
  file: readonly Policy[],
  entries: readonly BucketPolicy[],
): ActivePolicies {
  const refused: { name: string; why: string }[] = [];
  const named = new Set(file.map(({ dataset }) => dataset));
  const accepted: Policy[] = [];
  const places: Places = new Map();
  for (const { key, text } of entries.toSorted((a, b) => a.revision - b.revision)) {
    const of = parsePolicyKey(key)?.host;
    const why = whyNot(() => {
      if (of === undefined) throw new ZpsendError('BAD_REQUEST', 'the key is not <host>.<name>');
      const policy = policyOf(of, key, parsed(text));
      if (of === host && named.has(policy.dataset)) {
        throw new ZpsendError('BAD_REQUEST', `the configuration file has a policy for ${policy.dataset}, which stands`);
      }
      accepted.push(placed(policy, places));
    });
    // another host's is that one's to tell
    if (why !== undefined && (of === host || of === undefined)) refused.push({ name: key, why });
  }
  for (const policy of file) {
    const why = whyNot(() => accepted.push(placed(policy, places)));
    if (why !== undefined) refused.push({ name: policy.name, why });
  }
  const { kept, left } = withoutLoops(accepted);
  for (const [policy, circle] of left) {
    if (policy.host === host) refused.push({ name: policy.name, why: loopWords(circle) });
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

/** What is written to by whom: places as `host:dataset`. */
type Places = Map<string, Policy>;

/** The policy itself, whose places are its own from here on. @throws ZpsendError BAD_REQUEST where one of them is another's */
function placed(policy: Policy, places: Places): Policy {
  const own = policy.targets.map((to) => `${to.host}:${rootAt(policy, to)}`);
  for (const place of own) {
    const other = places.get(place);
    if (!other) continue;
    const isSame = other.host === policy.host && other.dataset === policy.dataset;
    throw new ZpsendError(
      'BAD_REQUEST',
      `${other.name} sends ${isSame ? 'it' : `${other.host}:${other.dataset}`} to ${place} already`,
    );
  }
  for (const place of own) places.set(place, policy);
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
