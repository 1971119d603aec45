import type { HostKey } from '../../lib/bus/hosts/claim.ts';
import { unreadableRecord } from '../../lib/bus/rpc/other-machine.ts';
import { compareMachines, type Machine, shortMachine } from '../../schemas/machine.ts';

/** Without machines that may be the same as an earlier one. */
export const distinct = (machines: readonly Machine[]): Machine[] =>
  machines.filter((machine, at) =>
    machines.slice(0, at).every((before) => compareMachines(before, machine) === 'other'),
  );

/** What is wrong with a host name: several machines answer for it, or another one than registered. Undefined if nothing is. */
export function faultOf(host: string, answering: readonly Machine[], record?: HostKey): string | undefined {
  const machines = distinct(answering);
  if (machines.length > 1) {
    const names = machines.map((machine) => shortMachine(machine, machines[machine === machines[0] ? 1 : 0]));
    return `${machines.length} machines answer as ${host}: ${names.join(', ')}`;
  }
  const [machine] = machines;
  if (record === 'unreadable') return unreadableRecord(host).message;
  if (!record || !machine || compareMachines(machine, { id: record.machine }) !== 'other') return undefined;
  const registered = shortMachine({ id: record.machine });
  return `machine ${shortMachine({ id: machine.id })} answers as ${host}, which is registered for machine ${registered} since ${record.since}`;
}

export const nameRemedy = (host: string): string =>
  `give one machine another name (host: in its configuration file, or ZPSEND_HOST). If one replaces the other, stop the ` +
  `services of the old one, and run zpsend hosts --adopt ${host} on the new one`;
