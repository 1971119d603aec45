import type { HostKey } from '../../lib/bus/hosts/claim.ts';
import { unreadableRecord } from '../../lib/bus/rpc/other-machine.ts';
import { compareMachines, type Machine, shortMachine } from '../../schemas/machine.ts';

/** Each of them once: as many as are proven to be different machines. */
export const distinct = (machines: readonly Machine[]): Machine[] =>
  machines.filter((machine, at) =>
    machines.slice(0, at).every((before) => compareMachines(before, machine) === 'other'),
  );

/** What is wrong with a host name, from who answers for it and whose it is; undefined where nothing is. */
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
  `give one machine another name (host: in its configuration file, or ZPSEND_HOST); where one replaces the other, stop the other's ` +
  `services and run on the new one: zpsend hosts --adopt ${host}`;
