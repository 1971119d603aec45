import type { z } from 'zod';
import type { Bus } from '../../../lib/bus/connection/connect.ts';
import { request } from '../../../lib/bus/rpc/request.ts';
import { subjects } from '../../../lib/bus/subjects.ts';
import { ZpsendError } from '../../../schemas/errors.ts';
import type { Check } from '../../../schemas/output.ts';
import { type Leftover, type Leftovers, leftoversSchema, type Mended, mendedSchema } from '../../../schemas/stale.ts';
import { withSender } from '../../client/sender.ts';
import type { Cli } from '../../context.ts';

/** Everything of a host is listed, and it is asked which jobs run: longer than other requests, in milliseconds. */
const lookMs = 120_000;

/** What was found, what was mended, and lines about both. */
export interface Checked {
  readonly checks: Check[];
  readonly leftovers: Leftover[];
  readonly mended: Leftover[];
  readonly unmended: Mended['unmended'];
}

export const nothingLeft: Omit<Checked, 'checks'> = { leftovers: [], mended: [], unmended: [] };

/** Which jobs run is asked over NATS: without an answer nothing can be called left. */
export const unknownLeftovers = (why: string): Check => ({
  what: 'leftovers',
  result: 'note',
  found: `not looked for: ${why}, so it cannot be known which jobs run`,
  mend: 'mend what stands above, then run zpsend doctor again',
});

type Ask = <S extends z.ZodType>(verb: 'leftovers' | 'mend', body: object, reply: S) => Promise<z.output<S>>;

/**
 * Asks this host's sender, and its receiver, what a crash left there; a sender is started for the purpose where none runs.
 * @param mend has exactly that mended
 */
export async function checkLeftovers(cli: Cli, bus: Bus, host: string, mend: boolean): Promise<Checked> {
  const sender = await attempt('sender', () =>
    withSender(cli, bus, host, (route) =>
      lookAndMend((verb, body, reply) => route.ask(verb, body, reply, lookMs), mend),
    ),
  );
  const receiver = await attempt('receiver', () =>
    lookAndMend((verb, body, reply) => request(bus, subjects.receive(host, verb), body, reply, lookMs), mend),
  );
  const leftovers = [...sender.leftovers, ...receiver.leftovers];
  const checks = [...sender.checks, ...receiver.checks];
  const none: Check = { what: 'leftovers', result: 'good', found: 'none' };
  return {
    checks: checks.length > 0 ? checks : [none],
    leftovers,
    mended: [...sender.mended, ...receiver.mended],
    unmended: [...sender.unmended, ...receiver.unmended],
  };
}

async function lookAndMend(ask: Ask, mend: boolean): Promise<Checked> {
  const found = await ask('leftovers', {}, leftoversSchema);
  const { leftovers } = found;
  const done = mend && leftovers.length > 0 ? await ask('mend', { leftovers }, mendedSchema) : undefined;
  const { mended, unmended } = done ?? { mended: [], unmended: [] };
  return { checks: checksOf(found, done), leftovers, mended, unmended };
}

/** A host with no receiver has nothing of one; what else is the matter with a service is told. */
async function attempt(service: string, look: () => Promise<Checked>): Promise<Checked> {
  try {
    return await look();
  } catch (thrown) {
    const { code, message } = ZpsendError.from(thrown);
    if (service === 'receiver' && code === 'UNREACHABLE') return { ...nothingLeft, checks: [] };
    const check: Check = {
      what: 'leftovers',
      result: 'note',
      found: `of the ${service}: ${message}`,
      mend: 'mend what it says, then run zpsend doctor again',
    };
    return { ...nothingLeft, checks: [check] };
  }
}

const checksOf = ({ leftovers, more, notes }: Leftovers, done: Mended | undefined): Check[] => {
  const lines: Check[] = done
    ? [
        ...done.mended.map((leftover): Check => ({ what: 'mended', result: 'good', found: wordsOf(leftover) })),
        ...done.unmended.map(
          ({ leftover, why }): Check => ({ what: 'not mended', result: 'note', found: wordsOf(leftover), mend: why }),
        ),
      ]
    : leftovers.map(
        (leftover): Check => ({
          what: whatOf[leftover.kind],
          result: 'note',
          found: wordsOf(leftover),
          mend: remedyOf[leftover.kind],
        }),
      );
  if (more > 0) {
    lines.push({
      what: 'leftovers',
      result: 'note',
      found: `and ${more} more`,
      mend: 'run zpsend doctor --mend again',
    });
  }
  return [...lines, ...notes.map(({ about, found, mend }): Check => ({ what: about, result: 'note', found, mend }))];
};

const whatOf: Record<Leftover['kind'], string> = { 'job-hold': 'hold', 'base-hold': 'hold', cursor: 'bookmark' };

const remedyOf: Record<Leftover['kind'], string> = {
  'job-hold': 'zpsend doctor --mend leaves a bookmark in its place, and the next job to its target releases it',
  'base-hold': 'zpsend doctor --mend releases it',
  cursor: 'zpsend doctor --mend removes it, as the next job that sends to that target does',
};

function wordsOf(leftover: Leftover): string {
  switch (leftover.kind) {
    case 'job-hold':
      return `${leftover.tag} on ${leftover.snapshot}, of a job that runs no more`;
    case 'base-hold':
      return `${leftover.tag} on ${leftover.snapshot}, while ${leftover.newer} is held`;
    case 'cursor':
      return `${leftover.bookmark}, in whose place ${leftover.newer} stands`;
  }
}
