import { createHash } from 'node:crypto';
import { setImmediate as turn } from 'node:timers/promises';
import { JetStreamApiError } from '@nats-io/jetstream';
import { z } from 'zod';
import { ZpsendError } from '../../../../schemas/errors.ts';
import { timing } from '../../../time/timing.ts';
import { openChange } from '../../change.ts';
import type { DataConnection } from '../../data-connection/connection.ts';
import { openHeartbeat } from '../heartbeat.ts';
import { connectionLost } from './jetstream-errors.ts';

/** Bytes of an object in one message, as in other clients of the object store (ADR-20). */
const chunkBytes = 128 * 1024;
/** Chunks that are written at once. */
const pieceChunks = 8;
/** The most chunks without an answer: enough for a distant server, few for a full bucket. */
const mostUnanswered = 32;

/** JetStream's answer to a published message; `error` if it is not stored. */
const answerSchema = z.object({
  stream: z.string().optional(),
  seq: z.number().optional(),
  error: z.object({ code: z.number(), err_code: z.number(), description: z.string() }).optional(),
});

export interface PutChunks {
  readonly count: number;
  /** Bytes of each chunk but the last. */
  readonly size: number;
  readonly sha256: Buffer;
}

/** Why a chunk is not stored, by JetStream's answer; undefined if it is stored. @throws for an unreadable answer */
function refusalIn(text: string, code: number, stream: string): Error | undefined {
  // 503: nothing subscribes to the subject
  if (code === 503) return unreachable('no JetStream answers');
  const answer = answerSchema.parse(JSON.parse(text));
  if (answer.error) return new JetStreamApiError(answer.error);
  if (answer.stream === stream && answer.seq) return undefined;
  return unreachable(`an unexpected answer: ${text.slice(0, 200)}`);
}

/**
 * Stores bytes as the chunks of an object, without a copy, and without waiting for each answer. After a failure, some chunks may be
 * stored.
 * @throws JetStreamApiError; ZpsendError UNREACHABLE, TIMEOUT, NOT_ALLOWED
 */
export async function putChunks(
  dataConnection: DataConnection,
  { stream, subject }: { readonly stream: string; readonly subject: string },
  bytes: Buffer,
): Promise<PutChunks> {
  const size = Math.min(chunkBytes, dataConnection.maxPayload);
  const reply = dataConnection.inbox();
  const sha256 = createHash('sha256');
  let written = 0;
  let answered = 0;
  let failure: Error | undefined;
  /** No more answers will come. */
  let isLost = false;
  let isSubscribed = false;
  const { wake, changed } = openChange();
  const refuse = (error: Error): void => {
    failure ??= error;
    wake();
  };
  const lose = (error: Error): void => {
    isLost = true;
    refuse(error);
  };
  const heartbeat = openHeartbeat(timing.store.answerMs, {
    beat() {
      if (isSubscribed && written === answered) heartbeat.heard();
    },
    silent: () => lose(new ZpsendError('TIMEOUT', `no answer from JetStream within ${timing.store.answerMs / 1000} s`)),
  });
  const endings = [
    heartbeat.stop,
    dataConnection.onDisconnected(() => lose(connectionLost())),
    dataConnection.onRefused((refused, error) => {
      if (refused === subject) lose(new ZpsendError('NOT_ALLOWED', error.message));
    }),
    dataConnection.subscribe(
      reply,
      (text, code) => {
        heartbeat.heard();
        answered += 1;
        const refusal = refusalIn(text, code, stream);
        if (refusal) refuse(refusal);
        wake();
      },
      lose,
    ),
  ];
  // wait for the subscription, which may be in the client's buffer; writes bypass that buffer
  dataConnection.nc.flush().then(() => {
    isSubscribed = true;
    wake();
  }, lose);
  try {
    while (!isSubscribed && !failure) await changed();
    for (let at = 0; at < bytes.length && !failure; at += size * pieceChunks) {
      while (written - answered > mostUnanswered - pieceChunks && !failure) await changed();
      if (failure) break;
      const piece = bytes.subarray(at, at + size * pieceChunks);
      sha256.update(piece);
      if (!dataConnection.write(publications(subject, reply, piece, size), () => {})) lose(connectionLost());
      written += Math.ceil(piece.length / size);
      await turn();
    }
    while (answered < written && !isLost) await changed();
    if (failure) throw failure;
    return { count: written, size, sha256: sha256.digest() };
  } finally {
    for (const end of endings) end();
  }
}

const unreachable = (why: string): ZpsendError => new ZpsendError('UNREACHABLE', why);

function publications(subject: string, reply: string, bytes: Buffer, size: number): Buffer[] {
  const parts: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += size) {
    const payload = bytes.subarray(at, at + size);
    parts.push(Buffer.from(`PUB ${subject} ${reply} ${payload.length}\r\n`, 'latin1'), payload, crlf);
  }
  return parts;
}

const crlf = Buffer.from('\r\n');
