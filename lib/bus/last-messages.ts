import type { JetStreamManager, StoredMsg, StreamInfo } from '@nats-io/jetstream';
import pLimit from 'p-limit';

/** Messages asked for at once. */
const atOnce = 32;

/**
 * The last message of each subject of a stream that a filter matches, and the stream as it was before. Read by requests to its leader
 * alone: whoever may make a consumer can have the server deliver what he has stored himself on any host's subject.
 */
export async function lastMessages(
  manager: JetStreamManager,
  stream: string,
  filter: string,
): Promise<{ readonly info: StreamInfo; readonly messages: readonly (StoredMsg | null)[] }> {
  const info = await manager.streams.info(stream, { subjects_filter: filter });
  const messages = await pLimit(atOnce).map(Object.keys(info.state.subjects ?? {}), (subject) =>
    manager.streams.getMessage(stream, { last_by_subj: subject }),
  );
  return { info, messages };
}
