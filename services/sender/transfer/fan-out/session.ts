import type { ChannelSender } from '../../../../lib/bus/channel/channel.ts';
import { subjects } from '../../../../lib/bus/subjects.ts';
import type { Clock } from '../../../../lib/time/clock.ts';
import type { Step } from '../../../../schemas/plan.ts';
import type { CompressionMode } from '../../../../schemas/transfer.ts';
import { type Read, type ReadDeps, startRead } from '../read-stream.ts';
import { expectedOf, streamOf } from '../stream-request.ts';

/** A receiver that is ready for a shared read. */
interface ReadyReceiver {
  readonly receiver: ChannelSender;
  /** How it accepts the stream. */
  readonly compression: CompressionMode;
}

/** One job in a shared read. It joins or declines exactly once, and leaves after it has joined. */
export interface Participant {
  /** Names the subject that all participants receive from. */
  readonly id: string;
  /** Resolves when all others have answered and the read has started; undefined if there is none for this job. */
  join(ready: ReadyReceiver): Promise<Read | undefined>;
  /** Continues without the others. */
  decline(): void;
  /** Is done with the read; the last to leave ends it. */
  leave(): Promise<void>;
}

export interface FanOutSession {
  /** Takes one of its `size` participants. */
  participant(): Participant;
}

export interface SessionOrder extends ReadDeps {
  readonly clock: Pick<Clock, 'now' | 'after'>;
  readonly host: string;
  readonly id: string;
  readonly size: number;
  readonly answerMs: number;
}

/** Reads a step once for all jobs that join in time. */
export function openSession(order: SessionOrder, step: Step): FanOutSession {
  const ready = new Map<ReadyReceiver, (read: Read | undefined) => void>();
  let unanswered = order.size;
  let hasBegun = false;
  let read: Read | undefined;
  let present = 0;
  const cancelLate = order.clock.after(order.answerMs, begin);

  function answered(): void {
    unanswered -= 1;
    if (unanswered === 0) begin();
  }

  function begin(): void {
    if (hasBegun) return;
    hasBegun = true;
    cancelLate();
    const joined = [...ready.keys()].filter(({ receiver }) => !receiver.over);
    present = joined.length;
    if (present > 0) read = startFor(joined);
    for (const [one, resolve] of ready) resolve(joined.includes(one) ? read : undefined);
  }

  /** Undefined where it cannot begin: all of them try again. */
  function startFor(joined: readonly ReadyReceiver[]): Read | undefined {
    const subject = subjects.shared(order.host, order.id);
    for (const { receiver } of joined) receiver.share(subject);
    // a stream that several targets fetch later is stored once
    const [first, ...others] = joined.flatMap(({ receiver }) => receiver.storage ?? []);
    if (first) for (const other of others) other.delegateTo(first);
    try {
      return startRead(order, {
        stream: streamOf(step),
        expected: expectedOf(step),
        subject,
        channels: joined.map(({ receiver }) => receiver),
        // a receiver that accepts it compressed accepts it plain too
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
      join(one) {
        if (hasBegun) return Promise.resolve(undefined);
        const { promise, resolve } = Promise.withResolvers<Read | undefined>();
        ready.set(one, resolve);
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
