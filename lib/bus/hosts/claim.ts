import type { ZpsendError } from '../../../schemas/errors.ts';
import { compareMachines, type HostRecord, type Likeness, type Machine } from '../../../schemas/machine.ts';
import { answersElsewhere, registeredElsewhere, unreadableRecord, withoutId } from '../rpc/other-machine.ts';

/** The value of a host name's key: a record, or an unreadable value; undefined if the key does not exist. */
export type HostKey = HostRecord | 'unreadable' | undefined;

/**
 * The state of a host name for a machine that wants to use it.
 * - `free`: not registered, so this machine may register it
 * - `own`: registered for this machine
 * - `taken`: registered for another machine
 * - `unreadable`: the record is unreadable, so it may be registered for another machine
 * - `unknown`: registered, but this machine has no id to compare with the record
 * - `no-id`: not registered, and this machine has no id to register
 */
export type Claim = 'free' | 'own' | 'taken' | 'unreadable' | 'unknown' | 'no-id';

const claims: Record<Likeness, Claim> = { same: 'own', other: 'taken', unknown: 'unknown' };

/** The claim that follows from a record, or from its absence. */
export function claimOf(record: HostKey, own: Machine): Claim {
  if (record === 'unreadable') return 'unreadable';
  if (!record) return own.id === undefined ? 'no-id' : 'free';
  return claims[compareMachines({ id: record.machine }, own)];
}

/** Why a machine may not use a host name; undefined if it may. */
export function refusalOf(host: string, own: Machine, record: HostKey): ZpsendError | undefined {
  if (record === 'unreadable') return unreadableRecord(host);
  const claim = claimOf(record, own);
  if (record && claim === 'taken') return registeredElsewhere(host, own, record);
  if (record && claim === 'unknown') return withoutId(host, record);
  return undefined;
}

/**
 * Should a machine that wants a host name write its record to the key?
 * @param hasIt this machine had the name before, so an unreadable record is not another machine's
 */
export const isToWrite = (record: HostKey, own: Machine, hasIt: boolean): boolean =>
  own.id !== undefined && ['free', ...(hasIt ? ['unreadable'] : [])].includes(claimOf(record, own));

/** The first other machine that answers for the host name; undefined if there is none. */
export const strangerAmong = (own: Machine, answering: readonly Machine[]): Machine | undefined =>
  answering.find((machine) => compareMachines(own, machine) === 'other');

/** Why a machine may not use a host name for which these machines answer; undefined if it may. */
export function rivalOf(host: string, own: Machine, answering: readonly Machine[]): ZpsendError | undefined {
  const stranger = strangerAmong(own, answering);
  return stranger && answersElsewhere(host, own, stranger);
}
