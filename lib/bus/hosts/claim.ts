import type { ZpsendError } from '../../../schemas/errors.ts';
import { compareMachines, type HostRecord, type Likeness, type Machine } from '../../../schemas/machine.ts';
import { answersElsewhere, registeredElsewhere, withoutId } from '../other-machine.ts';

/**
 * What the record of a host name means for a machine that wants it.
 * - `free`: nobody has it, so it may be taken
 * - `own`: this machine has it
 * - `taken`: another machine has it
 * - `untold`: somebody has it, and this machine has no id to compare
 * - `nameless`: nobody has it, and this machine has no id to take it with
 */
export type Claim = 'free' | 'own' | 'taken' | 'untold' | 'nameless';

const claims: Record<Likeness, Claim> = { same: 'own', other: 'taken', unknown: 'untold' };

/** Decides on a record, or on its absence: what is no record of ours counts as none. */
export function claimOf(record: Pick<HostRecord, 'machine'> | undefined, own: Machine): Claim {
  if (!record) return own.id === undefined ? 'nameless' : 'free';
  return claims[compareMachines({ id: record.machine }, own)];
}

/** Why a machine may not use a host name; undefined where it may. */
export function refusalOf(host: string, own: Machine, record: HostRecord | undefined): ZpsendError | undefined {
  const claim = claimOf(record, own);
  if (record && claim === 'taken') return registeredElsewhere(host, own, record);
  if (record && claim === 'untold') return withoutId(host, record);
  return undefined;
}

/** The first of the machines that answer for a host name which is not this one; undefined where none is. */
export const strangerAmong = (own: Machine, answering: readonly Machine[]): Machine | undefined =>
  answering.find((machine) => compareMachines(own, machine) === 'other');

/** Why a machine may not use a host name for which these machines answer; undefined where it may. */
export function rivalOf(host: string, own: Machine, answering: readonly Machine[]): ZpsendError | undefined {
  const stranger = strangerAmong(own, answering);
  return stranger && answersElsewhere(host, own, stranger);
}
