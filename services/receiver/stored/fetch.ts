import type { StreamsBucket } from '../../../lib/bus/store/bucket.ts';
import { openStoredStream, type StoredStream } from '../../../lib/bus/store/receive.ts';
import { ZpsendError } from '../../../schemas/errors.ts';
import { datasetOf } from '../../../schemas/names.ts';
import type { ReceiveStart } from '../../../schemas/transfer.ts';
import type { Receiver } from '../endpoints.ts';
import type { Receive, ReceiveDeps } from '../receive.ts';
import type { StoredItem } from './queue.ts';

export interface FetchDeps extends Pick<ReceiveDeps, 'zfs' | 'silenceMs' | 'pace' | 'host'> {
  readonly admit: Receiver['admit'];
}

/** A stored stream on its way into ZFS. */
export interface Fetching {
  /** Bytes that `zfs receive` took so far. */
  readonly consumed: number;
  /** Resolves when the snapshot is verified and the lock given back. @throws ZpsendError */
  readonly over: Promise<void>;
}

/**
 * Partial state is no use to a stored stream: ZFS continues it only with a stream made for that by `zfs send -t`, so this one begins
 * anew. What is of another dataset is not dropped unasked (I5).
 * @throws ZpsendError EXISTS
 */
async function checkPartial({ zfs, host }: FetchDeps, { start }: StoredItem): Promise<void> {
  const [dataset] = await zfs.look([start.dataset]);
  if (dataset?.resumeToken === undefined) return;
  const toname = await zfs.token(dataset.resumeToken).then(
    (contents) => contents.toname,
    (thrown) => ZpsendError.from(thrown).details?.toname,
  );
  if (typeof toname === 'string' && datasetOf(toname) === datasetOf(start.to.name)) return;
  throw new ZpsendError(
    'EXISTS',
    `${start.dataset} on ${host} holds partial state of another stream (${toname ?? 'unknown'}), which is not dropped unasked: ` +
      `finish that, or zfs receive -A ${start.dataset}`,
    { dataset: start.dataset },
  );
}

/**
 * Where the target does not have what the stream starts from, that one was lost on its way, having expired say: the stream is of no
 * use, and the target has not gone its own way.
 */
async function whyNot({ zfs }: FetchDeps, { start }: StoredItem, error: ZpsendError): Promise<ZpsendError> {
  if (error.code !== 'DIVERGED' && error.code !== 'BASE_MISSING') return error;
  const { from, dataset } = start;
  const listed = await zfs.list({ dataset }).catch(() => undefined);
  const has = listed?.[0]?.snapshots.some(({ guid }) => guid === from?.guid);
  if (from === undefined || has !== false) return error;
  return new ZpsendError(error.code, error.message, { ...error.details, lost: true });
}

/** Receives one stored stream. */
export function fetchStored(deps: FetchDeps, bucket: StreamsBucket, item: StoredItem): Fetching {
  let stream: StoredStream | undefined;

  async function run(): Promise<void> {
    await checkPartial(deps, item);
    const start: ReceiveStart = { ...item.start, partial: 'discard' };
    const receive: Receive = deps.admit(start, (handlers) => {
      const { silenceMs: patienceMs, pace } = deps;
      stream = openStoredStream(bucket, item.manifest, { ...handlers, patienceMs, pace });
      return stream;
    });
    await receive.ready;
    const error = await stream?.outcome;
    await receive.over;
    if (error) throw await whyNot(deps, item, ZpsendError.fromBody(error));
  }

  return {
    get consumed() {
      return stream?.consumed ?? 0;
    },
    over: run(),
  };
}
