import type { z } from 'zod';
import type { Bus } from '../../../lib/bus/connection/connect.ts';
import { request } from '../../../lib/bus/rpc/request.ts';
import { subjects } from '../../../lib/bus/subjects.ts';
import { timing } from '../../../lib/time/timing.ts';
import { ZpsendError } from '../../../schemas/errors.ts';
import type { Check } from '../../../schemas/output.ts';
import {
  type Repaired,
  repairedSchema,
  type StaleMark,
  type StaleMarks,
  staleMarksSchema,
} from '../../../schemas/stale.ts';
import { withSender } from '../../client/sender.ts';
import type { Cli } from '../../context.ts';

/** The marks that were found and repaired, and lines about both. */
export interface Checked {
  readonly checks: Check[];
  readonly staleMarks: StaleMark[];
  readonly repaired: StaleMark[];
  readonly notRepaired: Repaired['notRepaired'];
}

export const noStaleMarks: Omit<Checked, 'checks'> = { staleMarks: [], repaired: [], notRepaired: [] };

/** Without NATS the running jobs are unknown, so no mark counts as stale. */
export const unknownStaleMarks = (why: string): Check => ({
  what: 'stale',
  result: 'note',
  found: `not checked: ${why}, so the running jobs are unknown`,
  remedy: 'repair the rows above, then run zpsend doctor again',
});

type Ask = <S extends z.ZodType>(verb: 'stale' | 'repair', body: object, reply: S) => Promise<z.output<S>>;

/**
 * Asks the sender and the receiver of this host for stale marks. Runs a private sender if no sender answers.
 * @param fix repairs exactly these marks
 */
export async function checkStaleMarks(cli: Cli, bus: Bus, host: string, fix: boolean): Promise<Checked> {
  const sender = await attempt('sender', () =>
    withSender(cli, bus, host, (route) =>
      findAndRepair((verb, body, reply) => route.ask(verb, body, reply, timing.cli.staleMarksMs), fix),
    ),
  );
  const receiver = await attempt('receiver', () =>
    findAndRepair(
      (verb, body, reply) => request(bus, subjects.receive(host, verb), body, reply, timing.cli.staleMarksMs),
      fix,
    ),
  );
  const staleMarks = [...sender.staleMarks, ...receiver.staleMarks];
  const checks = [...sender.checks, ...receiver.checks];
  const none: Check = { what: 'stale', result: 'good', found: 'none' };
  return {
    checks: checks.length > 0 ? checks : [none],
    staleMarks,
    repaired: [...sender.repaired, ...receiver.repaired],
    notRepaired: [...sender.notRepaired, ...receiver.notRepaired],
  };
}

async function findAndRepair(ask: Ask, fix: boolean): Promise<Checked> {
  const found = await ask('stale', {}, staleMarksSchema);
  const { staleMarks } = found;
  const done = fix && staleMarks.length > 0 ? await ask('repair', { staleMarks }, repairedSchema) : undefined;
  const { repaired, notRepaired } = done ?? { repaired: [], notRepaired: [] };
  return { checks: checksOf(found, done), staleMarks, repaired, notRepaired };
}

/** Without a receiver there are no marks of one. Any other error becomes a row. */
async function attempt(service: string, check: () => Promise<Checked>): Promise<Checked> {
  try {
    return await check();
  } catch (thrown) {
    const { code, message } = ZpsendError.from(thrown);
    if (service === 'receiver' && code === 'UNREACHABLE') return { ...noStaleMarks, checks: [] };
    const row: Check = {
      what: 'stale',
      result: 'note',
      found: `the ${service} did not list its stale marks: ${message}`,
      remedy: 'correct that, then run zpsend doctor again',
    };
    return { ...noStaleMarks, checks: [row] };
  }
}

const checksOf = ({ staleMarks, more, notes }: StaleMarks, done: Repaired | undefined): Check[] => {
  const lines: Check[] = done
    ? [
        ...done.repaired.map((staleMark): Check => ({ what: 'repaired', result: 'good', found: wordsOf(staleMark) })),
        ...done.notRepaired.map(
          ({ staleMark, why }): Check => ({
            what: 'not repaired',
            result: 'note',
            found: wordsOf(staleMark),
            remedy: why,
          }),
        ),
      ]
    : staleMarks.map(
        (staleMark): Check => ({
          what: whatOf[staleMark.kind],
          result: 'note',
          found: wordsOf(staleMark),
          remedy: remedyOf[staleMark.kind],
        }),
      );
  if (more > 0) {
    lines.push({
      what: 'stale',
      result: 'note',
      found: `and ${more} more`,
      remedy: done ? 'run zpsend doctor --fix again' : 'run zpsend doctor --fix',
    });
  }
  return [
    ...lines,
    ...notes.map(({ about, found, remedy }): Check => ({ what: about, result: 'note', found, remedy })),
  ];
};

const whatOf: Record<StaleMark['kind'], string> = {
  'step-hold': 'hold',
  'last-received-hold': 'hold',
  cursor: 'bookmark',
};

const remedyOf: Record<StaleMark['kind'], string> = {
  'step-hold': 'the next job to its target releases it; zpsend doctor --fix replaces it with a bookmark',
  'last-received-hold': 'zpsend doctor --fix releases it',
  cursor: 'the next job that sends to its target removes it; zpsend doctor --fix does so too',
};

function wordsOf(staleMark: StaleMark): string {
  switch (staleMark.kind) {
    case 'step-hold':
      return `${staleMark.tag} on ${staleMark.snapshot}, of a dead job`;
    case 'last-received-hold':
      return `${staleMark.tag} on ${staleMark.snapshot}, superseded by the hold on ${staleMark.newer}`;
    case 'cursor':
      return `${staleMark.bookmark}, superseded by ${staleMark.newer}`;
  }
}
