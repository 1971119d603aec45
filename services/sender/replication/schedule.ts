import type { DatasetPlan } from '../../../lib/plan/dataset-plan.ts';
import { type ErrorBody, ZpsendError } from '../../../schemas/errors.ts';
import { needsOf } from '../planning/dependencies.ts';

/** The results of an event; chains by their index in the plan. */
export interface Moves {
  readonly start: readonly number[];
  /** Never to be started. */
  readonly lost: readonly { readonly chain: number; readonly error: ErrorBody }[];
}

/** Which chains of a plan may run now. Deterministic, without I/O. */
export interface Schedule {
  begin(): Moves;
  /** A snapshot of that guid is on the target. */
  arrived(chain: number, guid: string): Moves;
  /**
   * A chain that is done has brought everything that others need of it, except its key if none of its steps arrived. What a failed
   * chain has not brought never arrives.
   */
  ended(chain: number, error?: ErrorBody): Moves;
  /** No other chain starts. */
  abort(error: ErrorBody): Moves;
  /** No chain runs, and none will. */
  readonly isOver: boolean;
}

/** The keys of the first step that arrives, and of the first step as bringer of a key. */
const first = '';
const key = 'key';

/**
 * At most `limit` chains at once, in the order of the plan as far as needs allow. A failed chain does not stop its siblings.
 * Each need is handled once, when it is met or lost, so the cost of ten thousand chains is linear in their steps.
 */
export function scheduleOf(chains: readonly DatasetPlan[], limit: number): Schedule {
  const { open, waiters } = openNeeds(chains);
  const pending = new Set([...chains.keys()].filter((chain) => chains[chain]?.steps.length));
  const running = new Set<number>();
  const ready = [...pending].filter((chain) => open[chain] === 0);
  let next = 0;

  function start(): Moves {
    const started: number[] = [];
    for (let chain = ready[next]; chain !== undefined && running.size < limit; chain = ready[++next]) {
      if (!pending.delete(chain)) continue;
      running.add(chain);
      started.push(chain);
    }
    return { start: started, lost: [] };
  }

  function met(chain: number, guid: string): void {
    const brought = waiters.get(chain);
    for (const waiter of brought?.get(guid) ?? []) {
      const left = (open[waiter] ?? 0) - 1;
      open[waiter] = left;
      if (left === 0) ready.push(waiter);
    }
    brought?.delete(guid);
  }

  /** All chains that still wait for a failed one, directly or indirectly. */
  function losses(failed: number, error: ErrorBody): Moves['lost'] {
    const lost: { chain: number; error: ErrorBody }[] = [];
    const gone = [failed];
    for (let chain = gone.pop(); chain !== undefined; chain = gone.pop()) {
      for (const waiter of [...(waiters.get(chain)?.values() ?? [])].flat()) {
        if (!pending.delete(waiter)) continue;
        lost.push({ chain: waiter, error: becauseOf(chains[waiter], chains[failed], error) });
        gone.push(waiter);
      }
      waiters.delete(chain);
    }
    return lost;
  }

  return {
    begin: start,
    arrived(chain, guid) {
      for (const one of [first, key, guid]) met(chain, one);
      return start();
    },
    ended(chain, error) {
      running.delete(chain);
      if (!error) for (const guid of [...(waiters.get(chain)?.keys() ?? [])]) if (guid !== key) met(chain, guid);
      // others can now only wait for the key of a chain that is done
      return { lost: losses(chain, error ?? noKey(chains[chain])), start: start().start };
    },
    abort(error) {
      const lost = [...pending].map((chain) => ({ chain, error }));
      pending.clear();
      return { start: [], lost };
    },
    get isOver() {
      return running.size === 0 && pending.size === 0;
    },
  };
}

/** @returns the count of each chain's needs; and the waiting chains, by the chain that they wait for and the guid */
function openNeeds(chains: readonly DatasetPlan[]) {
  const open: number[] = [];
  const waiters = new Map<number, Map<string, number[]>>();
  for (const [chain, needs] of needsOf(chains).entries()) {
    open.push(needs.length);
    for (const { chain: bringer, key: isKey, guid = isKey ? key : first } of needs) {
      const brought = waiters.get(bringer) ?? new Map<string, number[]>();
      const others = brought.get(guid) ?? [];
      others.push(chain);
      waiters.set(bringer, brought.set(guid, others));
    }
  }
  return { open, waiters };
}

const noKey = (chain: DatasetPlan | undefined): ErrorBody =>
  new ZpsendError(
    'KEY_MISMATCH',
    `nothing of it arrived in this job, and so not its key. Run zfs snapshot -r ${chain?.sourceDataset}@NAME, and send ${chain?.sourceDataset} with -R`,
  ).toBody();

const becauseOf = (chain: DatasetPlan | undefined, failed: DatasetPlan | undefined, error: ErrorBody): ErrorBody => ({
  code: error.code,
  message:
    `${chain?.sourceDataset} was not sent, since ${failed?.sourceDataset}, which it needs, failed: ${error.message}`.slice(
      0,
      8192,
    ),
  retryable: error.retryable,
  details: { needs: failed?.sourceDataset ?? '' },
});
