import { createHash } from 'node:crypto';
import { AckPolicy, type JetStreamManager } from '@nats-io/jetstream';
import { nanos, nuid } from '@nats-io/transport-node';
import { z } from 'zod';
import { ZpsendError } from '../../../../schemas/errors.ts';
import { timing } from '../../../time/timing.ts';
import type { DataConnection } from '../../data-connection/connection.ts';
import { openInbox } from '../../rpc/inbox.ts';
import { openHeartbeat } from '../heartbeat.ts';
import { connectionLost } from './jetstream-errors.ts';

export interface Chunks {
  readonly stream: string;
  /** The one subject of all of them. */
  readonly subject: string;
  /** How errors call the object. */
  readonly name: string;
  /** How many there are. */
  readonly chunks: number;
  /** Has the stream's leader all of them? The consumer may be where a copy lags behind. */
  isThere(): Promise<boolean>;
  /** Where they are to come: a prefix of subjects, which no request has its answer on. */
  readonly deliveries: string;
}

/** What is known of a consumer that was just made. */
const consumerSchema = z.object({
  num_pending: z.number(),
  delivered: z.object({ consumer_seq: z.number() }),
});

/** Where a server asks for a word (ADR-9), and nowhere else: whoever knows an inbox could have us say it anywhere. */
const flowControl = /^\$JS\.FC\.[^\s*>]+$/;

/** Delivers those chunks once, and is gone soon after nobody takes them. */
const consumerOf = (name: string, inbox: string, subject: string) => ({
  name,
  deliver_subject: inbox,
  ack_policy: AckPolicy.None,
  filter_subject: subject,
  flow_control: true,
  idle_heartbeat: nanos(5000),
  inactive_threshold: nanos(30_000),
  max_deliver: 1,
  mem_storage: true,
  num_replicas: 1,
});

/**
 * Reads the chunks of an object into memory as they come off the socket. A consumer of its own delivers them, as fast as its flow
 * control has it (https://docs.nats.io/nats-concepts/jetstream/consumers, "Flow control").
 * @param into as long as the object
 * @returns their SHA-256
 * @throws ZpsendError STREAM_BROKEN when they are more or fewer bytes; UNREACHABLE, TIMEOUT; what JetStream refuses
 */
export async function getChunks(
  dataConnection: DataConnection,
  manager: JetStreamManager,
  { stream, subject, name, chunks, isThere, deliveries }: Chunks,
  into: Buffer,
): Promise<Buffer> {
  const inbox = openInbox(deliveries);
  const consumer = nuid.next();
  const sha256 = createHash('sha256');
  const whole = Promise.withResolvers<void>();
  whole.promise.catch(() => {});
  const broken = (why: string, details?: { reason: 'missing' }) =>
    whole.reject(new ZpsendError('STREAM_BROKEN', `${name}: ${why}`, details));
  let had = 0;
  /** Bytes of the current message that are still to come, of messages so far, and how many there are. */
  let left = 0;
  let messages = 0;
  let expected = Number.POSITIVE_INFINITY;
  let lacks = false;
  let isOver = false;
  const check = (): void => {
    if (left > 0) return;
    if (had === into.length) whole.resolve();
    else if (messages >= expected) lack();
  };
  /** Fewer came than there were to be. */
  function lack(): void {
    if (lacks) return;
    lacks = true;
    const missing = `${into.length - had} bytes of it are missing`;
    isThere().then((there) => {
      if (there) whole.reject(new ZpsendError('UNREACHABLE', `${name}: ${missing} in a copy that lags behind`));
      else broken(missing, { reason: 'missing' });
    }, whole.reject);
  }
  const heartbeat = openHeartbeat(timing.store.answerMs, {
    beat() {},
    silent: () =>
      whole.reject(new ZpsendError('TIMEOUT', `${name}: nothing of it came for ${timing.store.answerMs / 1000} s`)),
  });
  const endings = [
    heartbeat.stop,
    dataConnection.onDisconnected(() => whole.reject(connectionLost())),
    dataConnection.claim(
      {
        subject: inbox,
        deliveredAs: subject,
        begin(length) {
          if (isOver) return;
          left = length;
          messages += 1;
          if (had + length > into.length) broken('it is larger than it says');
        },
        piece(bytes) {
          // what comes after a failure finds its memory in other use
          if (isOver) return;
          left -= bytes.length;
          if (had + bytes.length > into.length) return;
          bytes.copy(into, had);
          sha256.update(bytes);
          had += bytes.length;
        },
        pause() {
          heartbeat.heard();
          check();
        },
        unexpected(_, message) {
          // flow control asks for a word, or a heartbeat says that one was lost
          const asked = message?.reply || message?.headers?.get('Nats-Consumer-Stalled');
          if (message?.headers?.code === 100 && asked && flowControl.test(asked)) dataConnection.say(asked, '');
        },
      },
      whole.reject,
    ),
  ];
  try {
    const adding = manager.consumers.add(stream, consumerOf(consumer, inbox, subject));
    adding
      .then((answer) => {
        const { num_pending, delivered } = consumerSchema.parse(answer);
        expected = Math.min(chunks, num_pending + delivered.consumer_seq);
        check();
      })
      .catch(whole.reject);
    await whole.promise;
    return sha256.digest();
  } finally {
    isOver = true;
    for (const end of endings) end();
    manager.consumers.delete(stream, consumer).catch(() => {});
  }
}
