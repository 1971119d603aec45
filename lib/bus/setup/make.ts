import { JetStreamApiError, type JetStreamManager, type StreamConfig } from '@nats-io/jetstream';
import { ZpsendError } from '../../../schemas/errors.ts';
import type { Bus } from '../connect.ts';
import { managerOf } from '../jetstream.ts';
import { bucketError, isGone } from '../kv-bucket.ts';
import { type Difference, differencesOf, type WantedStream } from './wanted.ts';

/** What became of one bucket or stream. */
export interface Outcome {
  readonly called: string;
  readonly state: 'made' | 'there' | 'differs' | 'changed';
  readonly differences: readonly Difference[];
}

/** Making a stream takes a cluster longer than an answer, in milliseconds. */
const timeout = 20_000;

/** JetStream has not so much room (10047; 10005 in a cluster), or the account may not have it (10002). */
const isTooMuch = (error: unknown): boolean =>
  error instanceof JetStreamApiError && [10047, 10005, 10002].includes(error.code);

function refused(error: unknown, { called, config }: WantedStream): ZpsendError {
  const { code, message } = bucketError(error, `${called} cannot be made`);
  if (!isTooMuch(error)) return new ZpsendError(code, message);
  return new ZpsendError(
    'NO_SPACE',
    `${called} cannot be made with ${config.max_bytes} bytes in ${config.num_replicas} copies: ${message}; raise max_file_store of ` +
      'the servers (jetstream.maxFileStore of the fleet), or make buckets smaller',
  );
}

async function found(manager: JetStreamManager, name: string): Promise<StreamConfig | undefined> {
  try {
    return (await manager.streams.info(name)).config;
  } catch (error) {
    if (isGone(error)) return undefined;
    throw error;
  }
}

async function makeOne(manager: JetStreamManager, wanted: WantedStream, mayEdit: boolean): Promise<Outcome> {
  const { called, config } = wanted;
  try {
    const there = await found(manager, config.name);
    if (!there) {
      await manager.streams.add({ ...config, subjects: [...config.subjects] } as Partial<StreamConfig> & {
        name: string;
      });
      return { called, state: 'made', differences: [] };
    }
    const differences = differencesOf(config, there);
    if (differences.length === 0) return { called, state: 'there', differences };
    if (!mayEdit) return { called, state: 'differs', differences };
    const changed = Object.fromEntries(differences.map((one) => [one.field, one.wanted]));
    await manager.streams.update(config.name, changed as Partial<StreamConfig>);
    return { called, state: 'changed', differences };
  } catch (error) {
    throw refused(error, wanted);
  }
}

/**
 * Makes the buckets and streams that are not there; what is there is compared, and changed only where that is asked for.
 * @param mayEdit change what is there to what is wanted, also where it then holds less
 * @param made told of each as it is done
 * @throws ZpsendError NO_SPACE where the servers have less room than is wanted; UNREACHABLE, UNSUPPORTED
 */
export async function makeWanted(
  bus: Bus,
  wanted: readonly WantedStream[],
  mayEdit: boolean,
  made: (outcome: Outcome) => void,
): Promise<void> {
  const manager = await managerOf(bus, timeout);
  for (const one of wanted) made(await makeOne(manager, one, mayEdit));
}
