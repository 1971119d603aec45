import type { NatsConnection } from '@nats-io/transport-node';

/** A message as it was seen. */
interface RecordedMessage {
  readonly subject: string;
  readonly body: Buffer;
}

/** What passes on the bus: of each kind of message the newest ones. */
export interface Traffic {
  readonly kinds: () => readonly (readonly RecordedMessage[])[];
  readonly subjects: () => readonly string[];
}

const perKind = 40;
const mostSubjects = 500;
/** Answers come under names of their own, and the server's API is not what is tried. */
const isOurs = (subject: string): boolean => /^(zfs|zfs-data|zfs-credit|\$KV|\$O|\$SRV)\./.test(subject);

/** Ids and names are left out: a kind is what its messages are for. */
const kindOf = (subject: string): string => subject.replace(/\.[^.]*[^a-z.][^.]*/g, '.*');

/** Records what others publish. @param nc a connection without echo, so that its own messages are not kept */
export function watchTraffic(nc: NatsConnection): Traffic {
  const kinds = new Map<string, RecordedMessage[]>();
  const subjects: string[] = [];
  nc.subscribe('>', {
    callback(error, { subject, data }) {
      if (error || !isOurs(subject)) return;
      const kind = kinds.get(kindOf(subject)) ?? [];
      kind.push({ subject, body: Buffer.from(data) });
      if (kind.length > perKind) kind.shift();
      kinds.set(kindOf(subject), kind);
      subjects.push(subject);
      if (subjects.length > mostSubjects) subjects.shift();
    },
  });
  return { kinds: () => [...kinds.values()], subjects: () => subjects };
}
