import { ZpsendError } from '../../../schemas/errors.ts';
import { type HostRecord, type Machine, shortMachine } from '../../../schemas/machine.ts';
import { hostsBucket } from '../subjects.ts';

/** What to do on a machine whose host name is another's. */
const waysOut = (host: string): string =>
  'Give this machine another host name (host: in its configuration file, or ZPSEND_HOST). Where it replaces the other one, ' +
  `stop the services there and run here: zpsend hosts --adopt ${host}`;

const details = (host: string, own: Machine, other: Machine) => ({
  host,
  own: shortMachine(own, other),
  other: shortMachine(other, own),
});

/** A service of this host's name answers, and runs on another machine. */
export const answersElsewhere = (host: string, own: Machine, other: Machine): ZpsendError =>
  new ZpsendError(
    'OTHER_MACHINE',
    `the service that answers for ${host} runs on machine ${shortMachine(other, own)}, and this is machine ${shortMachine(own, other)}: ` +
      `two machines have the host name ${host}, so nothing was done. ${waysOut(host)}`,
    details(host, own, other),
  );

/** The host name is registered for another machine. */
export const registeredElsewhere = (host: string, own: Machine, { machine, since }: HostRecord): ZpsendError =>
  new ZpsendError(
    'OTHER_MACHINE',
    `the host name ${host} is registered for machine ${shortMachine({ id: machine })} since ${since}, and this is machine ` +
      `${shortMachine({ id: own.id })}. ${waysOut(host)}`,
    details(host, own, { id: machine }),
  );

/** The host name is registered, and this machine cannot show whether it is the one. */
export const withoutId = (host: string, { machine }: HostRecord): ZpsendError =>
  new ZpsendError(
    'OTHER_MACHINE',
    `the host name ${host} is registered for machine ${shortMachine({ id: machine })}, and this machine has no id to compare with it: ` +
      'make /etc/machine-id readable here (a container mounts that of its machine), or set machineId: in the configuration file',
    details(host, {}, { id: machine }),
  );

/** Another machine took the host name while this one had it. */
export const adoptedElsewhere = (host: string, own: Machine, record: HostRecord): ZpsendError =>
  new ZpsendError(
    'OTHER_MACHINE',
    `machine ${shortMachine({ id: record.machine })} took over the host name ${host} at ${record.since}, so this machine, ` +
      `${shortMachine({ id: own.id })}, stops serving it. ${waysOut(host)}`,
    details(host, own, { id: record.machine }),
  );

/** Replies of one host came from two machines in turn. */
export const answersInTurn = (host: string, first: Machine, then: Machine): ZpsendError =>
  new ZpsendError(
    'OTHER_MACHINE',
    `two machines answer as ${host}: ${shortMachine(first, then)} did before, and ${shortMachine(then, first)} does now. ` +
      `Nothing more is sent there. Give one of them another host name (host: in its configuration file); zpsend hosts shows both`,
    details(host, first, then),
  );

/** A reply bears a mark that is not ours, so its machine is unknown. */
export const answersUnclearly = (host: string): ZpsendError =>
  new ZpsendError(
    'OTHER_MACHINE',
    `a reply of ${host} names its machine in a form that is not known here, so it may be another one than before. Nothing more is sent ` +
      'there; zpsend hosts shows who answers',
    { host },
  );

/** The key of the host name holds what cannot be read, so the name may be another machine's. */
export const unreadableRecord = (host: string): ZpsendError =>
  new ZpsendError(
    'OTHER_MACHINE',
    `the key ${host} in the bucket ${hostsBucket} holds no record that can be read here, so it is unknown whose the host name ${host} is: ` +
      unreadableRemedy(host),
    { host },
  );

/** What to do about such a key. */
export const unreadableRemedy = (host: string): string =>
  `where it is this machine's, run here: zpsend hosts --adopt ${host}. An administrator can remove the key: nats kv del ${hostsBucket} ${host}`;
