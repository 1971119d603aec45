import { headers, type MsgHdrs } from '@nats-io/transport-node';
import { ZpsendError } from '../../../schemas/errors.ts';
import { compareMachines, type Machine, machineSchema } from '../../../schemas/machine.ts';
import type { Bus } from '../connection/connect.ts';
import { answersElsewhere, answersInTurn, answersUnclearly } from './other-machine.ts';

/**
 * In a request: the machine that it is meant for, which no other carries it out. In a reply: the machine that answers.
 * A request without these headers, one of the nats CLI for example, is for whichever machine has the host name.
 */
const idHeader = 'Zpsend-Machine';
const bootHeader = 'Zpsend-Boot';

export function markMachine(marks: MsgHdrs, { id, boot }: Machine): MsgHdrs {
  if (id !== undefined) marks.set(idHeader, id);
  if (boot !== undefined) marks.set(bootHeader, boot);
  return marks;
}

/** The machine that a message names, which is empty where it names none; undefined where it names one, but not in our form. */
export function machineIn(marks: MsgHdrs | undefined): Machine | undefined {
  const [ids, boots] = [marks?.values(idHeader) ?? [], marks?.values(bootHeader) ?? []];
  if (ids.length > 1 || boots.length > 1) return undefined;
  const [[id], [boot]] = [ids, boots];
  return machineSchema.safeParse({ ...(id !== undefined && { id }), ...(boot !== undefined && { boot }) }).data;
}

/**
 * The machine that a host's replies come from, learnt from the first one and held from there on: a job is never shared by two
 * machines of one name. By the machine's id alone, since a host may be restarted while a job waits for it.
 */
export interface Peer {
  readonly host: string;
  id?: string | undefined;
}

/** The headers of a request: to this host's own services it is for this machine, to a known peer for that one. */
export function headersFor({ self }: Pick<Bus, 'self'>, subject: string, peer?: Peer): MsgHdrs | undefined {
  const machine = self && subject.startsWith(`zfs.${self.host}.`) ? self.machine : { id: peer?.id };
  if (machine.id === undefined && machine.boot === undefined) return undefined;
  return markMachine(headers(), machine);
}

/** @throws ZpsendError OTHER_MACHINE when a reply comes from another machine than the one before, or does not name it in our form */
export function checkPeer(peer: Peer | undefined, marks: MsgHdrs | undefined): void {
  if (!peer) return;
  const machine = machineIn(marks);
  if (!machine) throw answersUnclearly(peer.host);
  const { id } = machine;
  if (id === undefined) return;
  peer.id ??= id;
  if (peer.id !== id) throw answersInTurn(peer.host, { id: peer.id }, { id });
}

/** @throws ZpsendError OTHER_MACHINE when a request is for another machine than this one, BAD_REQUEST where that is not clear */
export function checkMeant({ self }: Pick<Bus, 'self'>, marks: MsgHdrs | undefined): void {
  const meant = machineIn(marks);
  if (!meant) throw new ZpsendError('BAD_REQUEST', unclearMark);
  if (!self || (meant.id === undefined && meant.boot === undefined)) return;
  if (compareMachines(meant, self.machine) !== 'same') throw answersElsewhere(self.host, meant, self.machine);
}

const unclearMark =
  `the headers ${idHeader} and ${bootHeader} of the request do not name a machine (one of each at most, 32 hexadecimal digits), so ` +
  'nothing was done; leave them out for whichever machine has the host name';
