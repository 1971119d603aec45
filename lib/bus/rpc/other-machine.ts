import { ZpsendError } from '../../../schemas/errors.ts';
import { type HostRecord, type Machine, shortMachine } from '../../../schemas/machine.ts';
import { hostsBucket } from '../subjects.ts';

/** What to do on a machine whose host name belongs to another machine. */
const remedy = (host: string): string =>
  'Give this machine another host name (host: in its configuration file, or ZPSEND_HOST). If it replaces the other machine, ' +
  `stop the services there and run here: zpsend hosts --adopt ${host}`;

const details = (host: string, own: Machine, other: Machine) => ({
  host,
  own: shortMachine(own, other),
  other: shortMachine(other, own),
});

/** A service that answers for this host name runs on another machine. */
export const answersElsewhere = (host: string, own: Machine, other: Machine): ZpsendError =>
  new ZpsendError(
    'OTHER_MACHINE',
    `the service that answers for ${host} runs on machine ${shortMachine(other, own)}, but this is machine ${shortMachine(own, other)}: ` +
      `two machines have the host name ${host}, so nothing was done. ${remedy(host)}`,
    details(host, own, other),
  );

/** The host name is registered for another machine. */
export const registeredElsewhere = (host: string, own: Machine, { machine, since }: HostRecord): ZpsendError =>
  new ZpsendError(
    'OTHER_MACHINE',
    `the host name ${host} is registered for machine ${shortMachine({ id: machine })} since ${since}, but this is machine ` +
      `${shortMachine({ id: own.id })}. ${remedy(host)}`,
    details(host, own, { id: machine }),
  );

/** The host name is registered, but this machine has no id to compare with the record. */
export const withoutId = (host: string, { machine }: HostRecord): ZpsendError =>
  new ZpsendError(
    'OTHER_MACHINE',
    `the host name ${host} is registered for machine ${shortMachine({ id: machine })}, but this machine has no id to compare with it: ` +
      'make /etc/machine-id readable here (in a container, mount that of its machine), or set machineId: in the configuration file',
    details(host, {}, { id: machine }),
  );

/** Another machine took over this machine's host name. */
export const adoptedElsewhere = (host: string, own: Machine, record: HostRecord): ZpsendError =>
  new ZpsendError(
    'OTHER_MACHINE',
    `machine ${shortMachine({ id: record.machine })} took over the host name ${host} at ${record.since}, so this machine, ` +
      `${shortMachine({ id: own.id })}, stops serving it. ${remedy(host)}`,
    details(host, own, { id: record.machine }),
  );

/** The replies of one host come from two machines. */
export const answersInTurn = (host: string, first: Machine, then: Machine): ZpsendError =>
  new ZpsendError(
    'OTHER_MACHINE',
    `two machines answer as ${host}: ${shortMachine(first, then)} before, ${shortMachine(then, first)} now. ` +
      `Nothing more is sent there. Give one of them another host name (host: in its configuration file); zpsend hosts shows both`,
    details(host, first, then),
  );

/** A reply has invalid headers, so its machine is unknown. */
export const answersUnclearly = (host: string): ZpsendError =>
  new ZpsendError(
    'OTHER_MACHINE',
    `a reply of ${host} has invalid machine headers, so it may come from another machine than before. Nothing more is sent ` +
      'there; zpsend hosts lists the machines that answer',
    { host },
  );

/** The record of the host name is unreadable, so the name may belong to another machine. */
export const unreadableRecord = (host: string): ZpsendError =>
  new ZpsendError(
    'OTHER_MACHINE',
    `the record ${host} in the bucket ${hostsBucket} is unreadable, so it is unknown which machine has the host name ${host}: ` +
      unreadableRemedy(host),
    { host },
  );

/** What to do about an unreadable record. */
export const unreadableRemedy = (host: string): string =>
  `if it is this machine, run here: zpsend hosts --adopt ${host}. An administrator can remove the key: nats kv del ${hostsBucket} ${host}`;
