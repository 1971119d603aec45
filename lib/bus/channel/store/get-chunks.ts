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
  /** The subject of all chunks. */
  readonly subject: string;
  /** The object's name in errors. */
  readonly name: string;
  /** The number of chunks. */
  readonly chunks: number;
  /** Does the stream's leader have all chunks? The consumer may be on a replica that lags behind. */
  isThere(): Promise<boolean>;
  /** The prefix of subjects for deliveries. No request has its reply subject there. */
  readonly deliveryPrefix: string;
}

/** The state of a new consumer. */
const consumerSchema = z.object({
  num_pending: z.number(),
  delivered: z.object({ consumer_seq: z.number() }),
});

/** The only subjects for answers to flow control (ADR-9). Otherwise, anyone who knows an inbox could make this user publish anywhere. */
const flowControl = /^\$JS\.FC\.[^\s*>]+$/;

/** A consumer that delivers the chunks once, and that the server deletes soon after the subscription ends. */
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

/** Copies the bytes of messages into memory. `whole` resolves when all bytes are there, and rejects if the messages have fewer. */
function openChunkBuffer({ name, isThere }: Pick<Chunks, 'name' | 'isThere'>, into: Buffer) {
  const sha256 = createHash('sha256');
  const whole = Promise.withResolvers<void>();
  whole.promise.catch(() => {});
  const broken = (why: string, details?: { reason: 'missing' }) =>
    whole.reject(new ZpsendError('STREAM_BROKEN', `${name}: ${why}`, details));
  let received = 0;
  /** Bytes of the current message that are still to come. */
  let left = 0;
  /** Messages so far, and the number of all messages. */
  let messages = 0;
  let expected = Number.POSITIVE_INFINITY;
  let isIncomplete = false;
  let isOver = false;
  /** Called when all messages came, and bytes are missing. */
  function failIncomplete(): void {
    if (isIncomplete) return;
    isIncomplete = true;
    const missing = `${into.length - received} bytes of it are missing`;
    isThere().then((there) => {
      if (there) whole.reject(new ZpsendError('UNREACHABLE', `${name}: ${missing} in a replica that lags behind`));
      else broken(missing, { reason: 'missing' });
    }, whole.reject);
  }
  function check(): void {
    if (left > 0) return;
    if (received === into.length) whole.resolve();
    else if (messages >= expected) failIncomplete();
  }
  return {
    whole: whole.promise,
    fail: whole.reject,
    check,
    expect(most: number): void {
      expected = most;
      check();
    },
    begin(length: number): void {
      if (isOver) return;
      left = length;
      messages += 1;
      if (received + length > into.length) broken('it is larger than its metadata says');
    },
    piece(bytes: Buffer): void {
      // after a failure the memory may be reused
      if (isOver) return;
      left -= bytes.length;
      if (received + bytes.length > into.length) return;
      bytes.copy(into, received);
      sha256.update(bytes);
      received += bytes.length;
    },
    digest: (): Buffer => sha256.digest(),
    /** Ignores all further messages. */
    close(): void {
      isOver = true;
    },
  };
}

/**
 * Reads the chunks of an object into memory as they arrive. An ephemeral consumer delivers them, at the rate of its flow control
 * (https://docs.nats.io/nats-concepts/jetstream/consumers, "Flow control").
 * @param into as long as the object
 * @returns their SHA-256
 * @throws ZpsendError STREAM_BROKEN if the chunks have more or fewer bytes than `into`; UNREACHABLE, TIMEOUT; errors of JetStream
 */
export async function getChunks(
  dataConnection: DataConnection,
  manager: JetStreamManager,
  { stream, subject, name, chunks, isThere, deliveryPrefix }: Chunks,
  into: Buffer,
): Promise<Buffer> {
  const inbox = openInbox(deliveryPrefix);
  const consumer = nuid.next();
  const buffer = openChunkBuffer({ name, isThere }, into);
  const { begin, piece, fail } = buffer;
  const heartbeat = openHeartbeat(timing.store.answerMs, {
    beat() {},
    silent: () => fail(new ZpsendError('TIMEOUT', `${name}: no bytes of it for ${timing.store.answerMs / 1000} s`)),
  });
  const endings = [
    heartbeat.stop,
    dataConnection.onDisconnected(() => fail(connectionLost())),
    dataConnection.subscribeRaw(
      {
        subject: inbox,
        deliveredAs: subject,
        begin,
        piece,
        pause() {
          heartbeat.heard();
          buffer.check();
        },
        unexpected(_, message) {
          // a request of flow control, or a heartbeat that repeats a lost one
          const asked = message?.reply || message?.headers?.get('Nats-Consumer-Stalled');
          if (message?.headers?.code === 100 && asked && flowControl.test(asked)) dataConnection.publish(asked, '');
        },
      },
      fail,
    ),
  ];
  try {
    const adding = manager.consumers.add(stream, consumerOf(consumer, inbox, subject));
    adding
      .then((answer) => {
        const { num_pending, delivered } = consumerSchema.parse(answer);
        buffer.expect(Math.min(chunks, num_pending + delivered.consumer_seq));
      })
      .catch(fail);
    await buffer.whole;
    return buffer.digest();
  } finally {
    buffer.close();
    for (const end of endings) end();
    manager.consumers.delete(stream, consumer).catch(() => {});
  }
}
