import type { Bus } from '../../../lib/bus/connection/connect.ts';
import { claimOf } from '../../../lib/bus/hosts/claim.ts';
import { readHost } from '../../../lib/bus/hosts/registry.ts';
import { unreadableRecord, unreadableRemedy } from '../../../lib/bus/rpc/other-machine.ts';
import { hostsBucket } from '../../../lib/bus/subjects.ts';
import type { OwnMachine } from '../../../lib/machine/machine.ts';
import { ZpsendError } from '../../../schemas/errors.ts';
import { type Machine, shortMachine } from '../../../schemas/machine.ts';
import type { Check } from '../../../schemas/output.ts';
import { faultOf, nameRemedy } from '../../client/name-faults.ts';

/** Does this host name belong to this machine? */
export async function checkMachine(bus: Bus, host: string, { machine, source }: OwnMachine): Promise<Check> {
  const what = 'machine';
  const id = shortMachine({ id: machine.id });
  try {
    const record = await readHost(bus, host);
    if (record === 'unreadable') {
      return { what, result: 'bad', found: unreadableRecord(host).message, remedy: unreadableRemedy(host) };
    }
    const found = `the host name ${host} is registered for machine ${record?.machine.slice(0, 8)} since ${record?.since}`;
    if (claimOf(record, machine) === 'taken') {
      return { what, result: 'bad', found: `${found}, and this is machine ${id}`, remedy: nameRemedy(host) };
    }
    const readable = 'make /etc/machine-id readable, or set machineId: in the configuration file';
    if (claimOf(record, machine) === 'unknown') {
      return { what, result: 'bad', found: `${found}, and this machine has no id`, remedy: readable };
    }
    if (source === undefined) {
      return {
        what,
        result: 'note',
        found: `this machine has no id, so another machine named ${host} may go unnoticed`,
        remedy: readable,
      };
    }
    if (record) return { what, result: 'good', found: `${id} (${source}) has the name ${host} since ${record.since}` };
    const remedy = `the first service or send registers it, if it may create the bucket. Otherwise: nats kv add ${hostsBucket} --history 1 --replicas 3`;
    return { what, result: 'note', found: `${id} (${source}); the name ${host} is not registered`, remedy };
  } catch (thrown) {
    const remedy = `without the bucket ${hostsBucket} another machine named ${host} is noticed only while both answer`;
    return { what, result: 'note', found: ZpsendError.from(thrown).message, remedy };
  }
}

/** The host names that more than one machine uses. */
export async function checkNames(bus: Bus, hosts: ReadonlyMap<string, readonly Machine[]>): Promise<Check[]> {
  const checks = [...hosts].map(async ([host, machines]): Promise<Check[]> => {
    const record = await readHost(bus, host).catch(() => undefined);
    const found = faultOf(host, machines, record);
    return found === undefined ? [] : [{ what: 'host name', result: 'bad', found, remedy: nameRemedy(host) }];
  });
  return (await Promise.all(checks)).flat();
}
