import { timing } from '../../../lib/time/timing.ts';
import type { ErrorBody, ZpsendError } from '../../../schemas/errors.ts';
import type { Log } from '../../host/log.ts';
import type { ActivePolicies } from './active.ts';
import type { Outcome } from './target-state.ts';

/** The log of a host's policies. */
export interface PolicyLog {
  /** A run of a policy target has ended. A failure is logged once, until a run succeeds. */
  ended(key: string, error: ErrorBody | undefined, outcome: Outcome): void;
  /** A snapshot event could not be read; logged from time to time. @param now monotonic ms */
  malformed(error: ZpsendError, now: number): void;
  /** The active or refused policies may have changed. */
  active(before: ActivePolicies, found: ActivePolicies): void;
}

export function openPolicyLog(log: Log): PolicyLog {
  /** The logged failures of each policy target since its last success. */
  const logged = new Map<string, Set<string>>();
  let garbage = { count: 0, since: Number.NEGATIVE_INFINITY };
  return {
    ended(key, error, outcome) {
      const before = logged.get(key);
      if (!error) {
        if (before) log.info('policy.recovered', `${key} succeeds again`, { policy: key });
        logged.delete(key);
        return;
      }
      const text = `${error.code}: ${error.message}`;
      if (before?.has(text)) return;
      logged.set(key, new Set([...(before ?? []), text].slice(-20)));
      const fields = { policy: key, code: error.code };
      if (outcome === 'passing') log.warn('policy.retried', `${key} failed: ${text}; trying again`, fields);
      else log.error('policy.failed', `${key} failed: ${text}; the next new snapshot tries again`, fields);
    },
    malformed({ message }, now) {
      garbage.count += 1;
      if (now - garbage.since < timing.policies.malformedMs) return;
      log.warn(
        'snapshot-event.malformed',
        `ignored ${garbage.count} malformed snapshot ${garbage.count === 1 ? 'event' : 'events'}: ${message}`,
      );
      garbage = { count: 0, since: now };
    },
    active(before, found) {
      const known = new Set(before.refused.map(({ name, why }) => `${name} ${why}`));
      for (const { name, why } of found.refused) {
        if (!known.has(`${name} ${why}`))
          log.error('policy.refused', `the policy ${name} is not active: ${why}`, { policy: name });
      }
      if (namesOf(before) !== namesOf(found))
        log.info('policy.active', `active policies: ${namesOf(found) || 'none'}`, {
          policies: found.policies.map(({ name }) => name).sort(),
        });
    },
  };
}

const namesOf = ({ policies }: ActivePolicies): string =>
  policies.map(({ dataset, name }) => `${dataset} (${name})`).join(', ');
