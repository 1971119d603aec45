import { JetStreamApiError, type JetStreamManager, type StoredMsg } from '@nats-io/jetstream';
import { z } from 'zod';
import { ZpsendError } from '../../../../schemas/errors.ts';
import { isToken } from './object-subjects.ts';

/** The metadata of an object, as far as it is needed (ADR-20). Other clients may have overwritten it. */
const metadataSchema = z.object({
  size: z.number().int().min(0).max(Number.MAX_SAFE_INTEGER),
  chunks: z.number().int().min(0),
  digest: z.string().max(200),
  nuid: z.string().refine(isToken),
  deleted: z.boolean().optional(),
  options: z.object({ link: z.never().optional() }).optional(),
});

export type Metadata = z.infer<typeof metadataSchema> & {
  /** The sequence number of its message. */
  readonly seq: number;
};

/**
 * The metadata of an object; undefined if there is none.
 * @throws JetStreamApiError; ZpsendError STREAM_BROKEN for invalid metadata, or for a link to another object
 */
export async function readMetadata(
  manager: JetStreamManager,
  stream: string,
  subject: string,
  name: string,
): Promise<Metadata | undefined> {
  const message = await lastOf(manager, stream, subject);
  if (!message) return undefined;
  let json: unknown;
  try {
    json = message.json();
  } catch {
    json = undefined;
  }
  const { data } = metadataSchema.safeParse(json);
  if (!data)
    throw new ZpsendError('STREAM_BROKEN', `${name} was overwritten by something else`, { reason: 'overwritten' });
  return data.deleted ? undefined : { ...data, seq: message.seq };
}

/** The last message of a subject; null if there is none. @throws JetStreamApiError */
export const lastOf = (manager: JetStreamManager, stream: string, subject: string): Promise<StoredMsg | null> =>
  manager.streams.getMessage(stream, { last_by_subj: subject }).catch((thrown) => {
    if (thrown instanceof JetStreamApiError && thrown.code === noMessage) return null;
    throw thrown;
  });

/** JetStream's error code for "no message found". */
const noMessage = 10037;
