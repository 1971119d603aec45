import type { Bus } from '../../../lib/bus/connection/connect.ts';
import { answeringFor } from '../../../lib/bus/hosts/answering.ts';
import { type HostKey, strangerAmong } from '../../../lib/bus/hosts/claim.ts';
import { writeHost } from '../../../lib/bus/hosts/registry.ts';
import { type OwnMachine, recordOf } from '../../../lib/machine/machine.ts';
import { timing } from '../../../lib/time/timing.ts';
import { ZpsendError } from '../../../schemas/errors.ts';
import type { Instance } from '../../../schemas/host.ts';
import { type HostRecord, type Machine, shortMachine } from '../../../schemas/machine.ts';

/** The new record, and the old one if it was of another machine. */
export interface Adopted {
  readonly record: HostRecord;
  readonly before: HostKey;
}

/**
 * Registers a host name for this machine, in place of another one.
 * @throws ZpsendError OTHER_MACHINE while services of another machine answer for it; UNSUPPORTED without an id
 */
export async function adopt(bus: Bus, host: string, own: OwnMachine): Promise<Adopted> {
  const wanted = recordOf(own);
  if (!wanted) throw withoutId(host);
  const answering = await answeringFor(bus, host, timing.cli.adoptMs);
  const stranger = strangerAmong(
    own.machine,
    answering.map(({ machine }) => machine),
  );
  if (stranger) throw stillThere(host, own.machine, stranger, answering);
  let before: HostKey;
  const record = await writeHost(bus, host, (found) => {
    const isOwn = typeof found === 'object' && found.machine === wanted.machine;
    before = isOwn ? undefined : found;
    return isOwn ? undefined : wanted;
  });
  return { record: typeof record === 'object' ? record : wanted, before };
}

function stillThere(host: string, own: Machine, stranger: Machine, answering: readonly Instance[]): ZpsendError {
  const name = shortMachine(stranger, own);
  const services = answering
    .filter(({ machine }) => machine.id === stranger.id && machine.boot === stranger.boot)
    .map(({ service, pid }) => `${service} (pid ${pid})`)
    .join(', ');
  return new ZpsendError(
    'OTHER_MACHINE',
    `the name ${host} was not adopted: machine ${name} still answers for it with ${services}. Stop these services, or give ` +
      'one of the two machines another name (host: in its configuration file)',
    { host, other: name },
  );
}

const withoutId = (host: string): ZpsendError =>
  new ZpsendError(
    'UNSUPPORTED',
    `the name ${host} cannot be registered: this machine has no id. Make /etc/machine-id readable, or set machineId: in the ` +
      'configuration file',
    { host },
  );
