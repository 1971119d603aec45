import type { ZpsendError } from '../../../schemas/errors.ts';
import { compareMachines, type HostRecord, type Likeness, type Machine } from '../../../schemas/machine.ts';
import { answersElsewhere, registeredElsewhere, unreadableRecord, withoutId } from '../rpc/other-machine.ts';

/** What the key of a host name holds: a record, or what cannot be read; undefined where there is none. */
export type HostKey = HostRecord | 'unreadable' | undefined;

/**
 * What the record of a host name means for a machine that wants it.
 * - `free`: nobody has it, so it may be taken
 * - `own`: this machine has it
 * - `taken`: another machine has it
 * - `unreadable`: somebody may have it
 * - `untold`: somebody has it, and this machine has no id to compare
 * - `nameless`: nobody has it, and this machine has no id to take it with
 */
export type Claim = 'free' | 'own' | 'taken' | 'unreadable' | 'untold' | 'nameless';

const claims: Record<Likeness, Claim> = { same: 'own', other: 'taken', unknown: 'untold' };

/** Decides on a record, or on its absence. */
export function claimOf(record: HostKey, own: Machine): Claim {
  if (record === 'unreadable') return 'unreadable';
  if (!record) return own.id === undefined ? 'nameless' : 'free';
  return claims[compareMachines({ id: record.machine }, own)];
}

/** Why a machine may not use a host name; undefined where it may. */
export function refusalOf(host: string, own: Machine, record: HostKey): ZpsendError | undefined {
  if (record === 'unreadable') return unreadableRecord(host);
  const claim = claimOf(record, own);
  if (record && claim === 'taken') return registeredElsewhere(host, own, record);
  if (record && claim === 'untold') return withoutId(host, record);
  return undefined;
}

/**
 * Is a machine that wants a host name to write its record over what the key holds?
 * @param hasIt the name was this machine's a moment ago, so what cannot be read there is nobody else's
 */
export const isToWrite = (record: HostKey, own: Machine, hasIt: boolean): boolean =>
  own.id !== undefined && ['free', ...(hasIt ? ['unreadable'] : [])].includes(claimOf(record, own));

/** The first of the machines that answer for a host name which is not this one; undefined where none is. */
export const strangerAmong = (own: Machine, answering: readonly Machine[]): Machine | undefined =>
  answering.find((machine) => compareMachines(own, machine) === 'other');

/** Why a machine may not use a host name for which these machines answer; undefined where it may. */
export function rivalOf(host: string, own: Machine, answering: readonly Machine[]): ZpsendError | undefined {
  const stranger = strangerAmong(own, answering);
  return stranger && answersElsewhere(host, own, stranger);
}
