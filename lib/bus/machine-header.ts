import { headers, type MsgHdrs } from '@nats-io/transport-node';
import { compareMachines, type Machine, machineSchema } from '../../schemas/machine.ts';
import type { Bus } from './connect.ts';
import { answersElsewhere, answersInTurn } from './other-machine.ts';

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

/** The machine that a message names; nothing where it names none, or not in our form. */
export function machineIn(marks: MsgHdrs | undefined): Machine {
  const [id, boot] = [marks?.get(idHeader), marks?.get(bootHeader)];
  return machineSchema.safeParse({ ...(id && { id }), ...(boot && { boot }) }).data ?? {};
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

/** @throws ZpsendError OTHER_MACHINE when a reply comes from another machine than the one before */
export function checkPeer(peer: Peer | undefined, marks: MsgHdrs | undefined): void {
  const { id } = machineIn(marks);
  if (!peer || id === undefined) return;
  peer.id ??= id;
  if (peer.id !== id) throw answersInTurn(peer.host, { id: peer.id }, { id });
}

/** @throws ZpsendError OTHER_MACHINE when a request is for another machine than this one */
export function checkMeant({ self }: Pick<Bus, 'self'>, marks: MsgHdrs | undefined): void {
  const meant = machineIn(marks);
  if (!self || (meant.id === undefined && meant.boot === undefined)) return;
  if (compareMachines(meant, self.machine) !== 'same') throw answersElsewhere(self.host, meant, self.machine);
}
