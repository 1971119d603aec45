import { headers, type MsgHdrs } from '@nats-io/transport-node';
import { ZpsendError } from '../../../schemas/errors.ts';
import { compareMachines, type Machine, machineSchema } from '../../../schemas/machine.ts';
import type { Bus } from '../connection/connect.ts';
import { answersElsewhere, answersInTurn, answersUnclearly } from './other-machine.ts';

/**
 * In a request: the machine that it is for; no other machine executes it. In a reply: the machine that answers.
 * A request without these headers, for example from the nats CLI, is for any machine with the host name.
 */
const idHeader = 'Zpsend-Machine';
const bootHeader = 'Zpsend-Boot';

export function markMachine(marks: MsgHdrs, { id, boot }: Machine): MsgHdrs {
  if (id !== undefined) marks.set(idHeader, id);
  if (boot !== undefined) marks.set(bootHeader, boot);
  return marks;
}

/** The machine that a message names: empty if it names none, undefined if the headers are invalid. */
export function machineIn(marks: MsgHdrs | undefined): Machine | undefined {
  const [ids, boots] = [marks?.values(idHeader) ?? [], marks?.values(bootHeader) ?? []];
  if (ids.length > 1 || boots.length > 1) return undefined;
  const [[id], [boot]] = [ids, boots];
  return machineSchema.safeParse({ ...(id !== undefined && { id }), ...(boot !== undefined && { boot }) }).data;
}

/**
 * The machine that a host's replies come from. The first reply sets it, so that two machines with one name never share a job.
 * Only the machine's id counts, since a host may be restarted while a job waits for it.
 */
export interface Peer {
  readonly host: string;
  id?: string | undefined;
}

/** The headers of a request: to services of this host it names this machine, to a known peer that peer. */
export function headersFor({ self }: Pick<Bus, 'self'>, subject: string, peer?: Peer): MsgHdrs | undefined {
  const machine = self && subject.startsWith(`zfs.${self.host}.`) ? self.machine : { id: peer?.id };
  if (machine.id === undefined && machine.boot === undefined) return undefined;
  return markMachine(headers(), machine);
}

/** @throws ZpsendError OTHER_MACHINE if a reply comes from another machine than the one before, or its headers are invalid */
export function checkPeer(peer: Peer | undefined, marks: MsgHdrs | undefined): void {
  if (!peer) return;
  const machine = machineIn(marks);
  if (!machine) throw answersUnclearly(peer.host);
  const { id } = machine;
  if (id === undefined) return;
  peer.id ??= id;
  if (peer.id !== id) throw answersInTurn(peer.host, { id: peer.id }, { id });
}

/** @throws ZpsendError OTHER_MACHINE if a request is for another machine, BAD_REQUEST if its headers are invalid */
export function checkMeant({ self }: Pick<Bus, 'self'>, marks: MsgHdrs | undefined): void {
  const meant = machineIn(marks);
  if (!meant) throw new ZpsendError('BAD_REQUEST', unclearMark);
  if (!self || (meant.id === undefined && meant.boot === undefined)) return;
  if (compareMachines(meant, self.machine) !== 'same') throw answersElsewhere(self.host, meant, self.machine);
}

const unclearMark =
  `the headers ${idHeader} and ${bootHeader} of the request do not name a machine (at most one of each, with 32 hexadecimal digits), so ` +
  'nothing was done; remove them to address any machine with the host name';
