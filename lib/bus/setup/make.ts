import { JetStreamApiError, type JetStreamManager, type StreamConfig, type StreamInfo } from '@nats-io/jetstream';
import { type ErrorBody, ZpsendError } from '../../../schemas/errors.ts';
import type { Bus } from '../connection/connect.ts';
import { managerOf } from '../jetstream/jetstream.ts';
import { bucketError, isGone } from '../jetstream/kv-bucket.ts';
import { lossOf } from './loss.ts';
import { type Difference, differencesOf, type WantedStream } from './wanted.ts';

/** What became of one bucket or stream. */
export interface Outcome {
  readonly called: string;
  readonly state: 'made' | 'there' | 'differs' | 'changed' | 'failed';
  readonly differences: readonly Difference[];
  /** Why it failed. */
  readonly error?: ErrorBody;
}

/** Making a stream takes a cluster longer than an answer, in milliseconds. */
const timeout = 20_000;

/** JetStream has not so much room (10047; 10005 in a cluster), or the account may not have it (10002). */
const isTooMuch = (error: unknown): boolean =>
  error instanceof JetStreamApiError && [10047, 10005, 10002].includes(error.code);

function refused(error: unknown, { called, config }: WantedStream, verb: 'made' | 'changed'): ZpsendError {
  const { code, message } = bucketError(error, `${called} cannot be ${verb}`);
  if (!isTooMuch(error)) return new ZpsendError(code, message);
  return new ZpsendError(
    'NO_SPACE',
    `${called} cannot be ${verb} with ${config.max_bytes} bytes in ${config.num_replicas} copies: ${message}; raise max_file_store of ` +
      'the servers (jetstream.maxFileStore of the fleet), or make buckets smaller',
  );
}

async function found(manager: JetStreamManager, name: string): Promise<StreamInfo | undefined> {
  try {
    return await manager.streams.info(name);
  } catch (error) {
    if (isGone(error)) return undefined;
    throw error;
  }
}

/** As long as the server would look for duplicates in a new stream, in nanoseconds; it refuses longer than an age that is made shorter. */
const duplicatesOf = (max_age: number): number => (max_age > 0 ? Math.min(120e9, max_age) : 120e9);

/** @throws ZpsendError EXISTS where what is stored would be deleted, or would fill it */
async function change(
  manager: JetStreamManager,
  wanted: WantedStream,
  { state, ts }: StreamInfo,
  differences: readonly Difference[],
): Promise<void> {
  const { called, config } = wanted;
  const loss = lossOf(wanted, state, Date.parse(ts ?? '') || Date.now());
  if (loss !== undefined) {
    throw new ZpsendError(
      'EXISTS',
      `${called} stays as it is: ${loss}; wait until that is taken, or want more (zpsend deploy setup --help)`,
    );
  }
  const changed = Object.fromEntries(differences.map((one) => [one.field, one.wanted]));
  const duplicate_window = 'max_age' in changed ? { duplicate_window: duplicatesOf(config.max_age) } : {};
  await manager.streams.update(config.name, { ...changed, ...duplicate_window } as Partial<StreamConfig>);
}

/** What is about this stream alone is an outcome. @throws ZpsendError for what would fail with every other one too */
async function makeOne(manager: JetStreamManager, wanted: WantedStream, mayEdit: boolean): Promise<Outcome> {
  const { called, config } = wanted;
  let differences: readonly Difference[] = [];
  let verb: 'made' | 'changed' = 'made';
  try {
    const there = await found(manager, config.name);
    if (!there) {
      await manager.streams.add({ ...config, subjects: [...config.subjects] } as Partial<StreamConfig> & {
        name: string;
      });
      return { called, state: 'made', differences };
    }
    differences = differencesOf(config, there.config);
    if (differences.length === 0) return { called, state: 'there', differences };
    if (!mayEdit) return { called, state: 'differs', differences };
    verb = 'changed';
    await change(manager, wanted, there, differences);
    return { called, state: 'changed', differences };
  } catch (thrown) {
    const error = refused(thrown, wanted, verb);
    if (!(thrown instanceof JetStreamApiError || thrown instanceof ZpsendError)) throw error;
    return { called, state: 'failed', differences, error: error.toBody() };
  }
}

/**
 * Makes the buckets and streams that are not there; what is there is compared, and changed only where that is asked for. One that fails
 * (NO_SPACE where the servers have less room than is wanted, EXISTS where more is stored) keeps none of the others from being done.
 * @param mayEdit change what is there to what is wanted, also where it then may hold less, but not less than it does
 * @param made called for each as it is done
 * @throws ZpsendError UNREACHABLE, UNSUPPORTED
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
