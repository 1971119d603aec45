import type { Random } from '../support/random.ts';

/** How a round's replication is requested, and for which targets. */
export const requestKinds = ['single', 'fan-out', 'offline', 'event'] as const;
type RequestKind = (typeof requestKinds)[number];

/** What happens in the middle of it. `leader-*`: the leader of that JetStream group steps down. */
export const faults = [
  'kill-sender',
  'kill-receiver',
  'kill-node',
  'leader-locks',
  'leader-streams',
  'leader-meta',
] as const;
export type Fault = (typeof faults)[number];

export interface Write {
  /** Below the root. */
  readonly dataset: string;
  readonly bytes: number;
}

/** All that is chosen for one round before it begins. */
export interface Scenario {
  readonly kind: RequestKind;
  readonly fault: Fault;
  /** What is written, with a snapshot after each. */
  readonly writes: readonly Write[];
  /** Places in the list of targets: those that are sent to, and the one whose receivers are away. */
  readonly to: readonly number[];
  readonly away: number | undefined;
  /** Which of the like is hit: an instance, a server. */
  readonly which: number;
  /** How long after the first bytes, in milliseconds. */
  readonly afterMs: number;
}

export interface ScenarioBounds {
  readonly targets: number;
  readonly servers: number;
  /** Datasets of which some are written to in a round that is asked for, and the one that a policy sends. */
  readonly asked: readonly string[];
  readonly policy: string;
}

/** Writes take some seconds to send at the rate that `zfs send` has here, in bytes. */
const [least, spread] = [4_000_000, 6_000_000];

/**
 * What happens in round number `round`, from 0. Kinds and faults are dealt out, rather than drawn, so that each fault meets each kind
 * within as many rounds as there are pairs: `deck` is a shuffled list of all of them.
 */
export function scenarioOf(
  deck: readonly Pick<Scenario, 'kind' | 'fault'>[],
  round: number,
  random: Random,
  bounds: ScenarioBounds,
): Scenario {
  const { kind, fault } = deck[round % deck.length] ?? { kind: 'fan-out', fault: 'kill-sender' };
  const all = Array.from({ length: bounds.targets }, (_, at) => at);
  const one = random.below(bounds.targets);
  const big = random.pick(bounds.asked) ?? '';
  const datasets =
    kind === 'event' ? [bounds.policy] : [big, ...bounds.asked.filter((name) => name !== big && random.chance(0.3))];
  const writes = datasets.flatMap((dataset) => [
    { dataset, bytes: least + random.below(spread) },
    ...(random.chance(0.5) ? [{ dataset, bytes: random.below(100_000) }] : []),
  ]);
  return {
    kind,
    fault,
    writes,
    to: kind === 'single' ? [one] : all,
    away: kind === 'offline' ? one : undefined,
    which: random.below(2 * bounds.servers),
    afterMs: random.below(1000),
  };
}

/** Every kind with every fault, shuffled. */
export function shuffledDeck(random: Random): Pick<Scenario, 'kind' | 'fault'>[] {
  const deck = requestKinds.flatMap((kind) => faults.map((fault) => ({ kind, fault })));
  for (let at = deck.length - 1; at > 0; at--) {
    const other = random.below(at + 1);
    const [one, two] = [deck[at], deck[other]];
    if (one && two) [deck[at], deck[other]] = [two, one];
  }
  return deck;
}
