import type { ChannelSender } from '../../../../lib/bus/channel/channel.ts';
import { subjects } from '../../../../lib/bus/subjects.ts';
import type { Step } from '../../../../schemas/plan.ts';
import type { CompressionMode } from '../../../../schemas/transfer.ts';
import { type Read, type ReadDeps, startRead } from '../send-stream.ts';
import { expectedOf, streamOf } from '../stream-request.ts';

/** A receiver that is ready for a shared read, and what its job wants of it. */
interface Guest {
  readonly receiver: ChannelSender;
  /** How it takes the stream over the wire. */
  readonly compression: CompressionMode;
}

/** One job's place in a shared read. It is answered exactly once, with join or decline, and left after join. */
export interface Participant {
  /** Names the subject that all who sit here receive from. */
  readonly id: string;
  /** Resolves when all others have answered and the read has begun; undefined when there is none for this one. */
  join(guest: Guest): Promise<Read | undefined>;
  /** Goes on without the others. */
  decline(): void;
  /** Is done with the read; the last to leave ends it. */
  leave(): Promise<void>;
}

export interface FanOutSession {
  /** Takes one of its `size` participants. */
  participant(): Participant;
}

export interface SessionOrder extends ReadDeps {
  readonly host: string;
  readonly id: string;
  readonly size: number;
  readonly answerMs: number;
}

/** Reads a step once for all who join in time. */
export function openSession(order: SessionOrder, step: Step): FanOutSession {
  const guests = new Map<Guest, (read: Read | undefined) => void>();
  let unanswered = order.size;
  let begun = false;
  let read: Read | undefined;
  let present = 0;
  const late = setTimeout(begin, order.answerMs);

  function answered(): void {
    unanswered -= 1;
    if (unanswered === 0) begin();
  }

  function begin(): void {
    if (begun) return;
    begun = true;
    clearTimeout(late);
    const joined = [...guests.keys()].filter(({ receiver }) => !receiver.over);
    present = joined.length;
    if (present > 0) read = startFor(joined);
    for (const [guest, resolve] of guests) resolve(joined.includes(guest) ? read : undefined);
  }

  /** Undefined when it cannot even begin: they all try again. */
  function startFor(joined: readonly Guest[]): Read | undefined {
    const subject = subjects.shared(order.host, order.id);
    for (const { receiver } of joined) receiver.share(subject);
    // what several are to fetch later is stored once
    const [first, ...others] = joined.flatMap(({ receiver }) => receiver.keeping ?? []);
    if (first) for (const other of others) other.leaveTo(first);
    try {
      return startRead(order, {
        stream: streamOf(step),
        expected: expectedOf(step),
        subject,
        receivers: joined.map(({ receiver }) => receiver),
        // whoever takes it compressed takes it as it is too
        compression: joined.every(({ compression }) => compression !== 'none')
          ? (joined[0]?.compression ?? 'none')
          : 'none',
      });
    } catch {
      return undefined;
    }
  }

  function participant(): Participant {
    let isAnswered = false;
    const answer = (): void => {
      if (!isAnswered) answered();
      isAnswered = true;
    };
    return {
      id: order.id,
      join(guest) {
        if (begun) return Promise.resolve(undefined);
        const { promise, resolve } = Promise.withResolvers<Read | undefined>();
        guests.set(guest, resolve);
        answer();
        return promise;
      },
      decline: answer,
      async leave() {
        present -= 1;
        if (present === 0) await read?.stop();
      },
    };
  }
  return { participant };
}
