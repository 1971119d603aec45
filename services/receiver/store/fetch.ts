import { readManifest } from '../../../lib/bus/channel/store/manifests.ts';
import type { StreamsBucket } from '../../../lib/bus/channel/store/object-bucket.ts';
import { openStoredStream, type StoredStream } from '../../../lib/bus/channel/store/receiver.ts';
import { peekToken } from '../../../lib/zfs/resume-token.ts';
import { type Code, ZpsendError } from '../../../schemas/errors.ts';
import { datasetOf, poolOf } from '../../../schemas/names.ts';
import type { StoredStart } from '../../../schemas/stored.ts';
import type { ReceiveStart } from '../../../schemas/transfer.ts';
import type { CurrentSettings } from '../../host/current-settings.ts';
import type { Receiver } from '../api.ts';
import type { Receive } from '../receive/receive.ts';
import type { ReceiveDeps } from '../receive/run.ts';
import type { StoredItem } from './queue.ts';

export interface FetchDeps extends Pick<ReceiveDeps, 'zfs' | 'rateLimit' | 'host'> {
  readonly settings: CurrentSettings;
  readonly admit: Receiver['admit'];
}

/** A stored stream that is being received. */
export interface Fetching {
  /** Bytes that `zfs receive` took so far. */
  readonly consumed: number;
  /** Resolves when the snapshot is verified and the lock released. @throws ZpsendError */
  readonly over: Promise<void>;
}

/**
 * A stored stream cannot continue partial state: ZFS continues that only with a stream of `zfs send -t`. So the stream starts from
 * its beginning. Partial state of another dataset is not dropped without a request (I5).
 * @throws ZpsendError EXISTS
 */
async function checkPartial({ zfs, host }: FetchDeps, { start }: StoredItem): Promise<void> {
  const [dataset] = await zfs.inspect([start.targetDataset]);
  if (dataset?.resumeToken === undefined) return;
  const toname = peekToken(dataset.resumeToken)?.toname;
  if (toname !== undefined && datasetOf(toname) === datasetOf(start.to.name)) return;
  throw new ZpsendError(
    'EXISTS',
    `${start.targetDataset} on ${host} has partial state of another stream (${toname ?? 'unknown'}), which is not discarded: ` +
      `finish that one, or zfs receive -A ${start.targetDataset}`,
    { dataset: start.targetDataset },
  );
}

/** The codes of a stream whose base is missing. */
const baseCodes: ReadonlySet<Code> = new Set(['DIVERGED', 'BASE_MISSING', 'ORIGIN_MISSING', 'NO_SUCH_DATASET']);

/** Is the stream's base missing, in a pool that is imported? */
async function lacksBase(
  { zfs }: FetchDeps,
  { from, origin, targetDataset }: StoredStart,
  error: ZpsendError,
): Promise<boolean> {
  // the parent that another stream of its package was to create
  if (!from) return error.reason === 'parent-not-planned';
  if (error.code === 'NO_SUCH_DATASET') return false;
  const base = origin === undefined ? targetDataset : datasetOf(origin);
  const names = [poolOf(base), base];
  const [pool, ...existing] = await zfs.inspect([...new Set(names)]);
  if (!pool) return false;
  if (!existing.length && base !== pool.name) return true;
  const [listed] = await zfs.list({ dataset: base });
  return listed?.snapshots.every(({ guid }) => guid !== from.guid) === true;
}

/** A stream whose base was lost, for example because it expired, is lost too: the target has not diverged. */
async function failureOf(deps: FetchDeps, { start }: StoredItem, thrown: unknown): Promise<ZpsendError> {
  const error = ZpsendError.from(thrown);
  if (!baseCodes.has(error.code) || !(await lacksBase(deps, start, error).catch(() => false))) return error;
  return new ZpsendError(error.code, error.message, { ...error.details, reason: 'lost' });
}

/** Receives one stored stream. */
export function fetchStored(deps: FetchDeps, bucket: StreamsBucket, item: StoredItem): Fetching {
  let stream: StoredStream | undefined;

  async function receive(): Promise<void> {
    const manifest = await readManifest(bucket, item.stream);
    const start: ReceiveStart = { ...item.start, partial: 'discard' };
    const running: Receive = deps.admit(start, (handlers) => {
      const { settings, rateLimit } = deps;
      const patienceMs = settings.now.config.timing.silenceSeconds * 1000;
      stream = openStoredStream(bucket, manifest, { ...handlers, patienceMs, rateLimit });
      return stream;
    });
    await running.ready;
    const error = await stream?.outcome;
    await running.over;
    if (error) throw ZpsendError.fromBody(error);
  }

  async function run(): Promise<void> {
    await checkPartial(deps, item);
    try {
      await receive();
    } catch (thrown) {
      throw await failureOf(deps, item, thrown);
    }
  }

  return {
    get consumed() {
      return stream?.consumed ?? 0;
    },
    over: run(),
  };
}
