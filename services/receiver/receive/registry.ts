import { isDeepStrictEqual } from 'node:util';
import { ZpsendError } from '../../../schemas/errors.ts';
import type { ReceiveReady, ReceiveStart, StartRequest, TransferState } from '../../../schemas/transfer.ts';
import type { CurrentSettings } from '../../host/current-settings.ts';
import { checkConfigured } from '../admission/check-configured.ts';
import type { Incoming } from './open-channel.ts';
import { beginReceive, type Receive } from './receive.ts';
import { type ReceiveSettings, receiveSettingsOf } from './receive-settings.ts';
import type { ReceiveDeps } from './run.ts';

/** The receives that run in this process. */
export interface Receives {
  /** Begins a requested one. A repeated request gets the same answer. */
  start(request: StartRequest): Promise<ReceiveReady>;
  /** Starts a receive. @throws ZpsendError BUSY, LOCKED, and the errors of `checkConfigured` */
  admit(start: ReceiveStart, incoming: Incoming): Receive;
  has(transfer: string): boolean;
  /** Of one transfer, or of all. */
  status(transfer: string | undefined): TransferState[];
  /** @returns false where no such transfer runs here */
  abort(transfer: string): boolean;
  /** Ends every receive, and resolves when their locks are released. */
  stop(): Promise<void>;
}

/** What all receives share. `lastReceivedHolds` is used by those whose settings ask for it. */
export interface ReceivesDeps extends Omit<ReceiveDeps, keyof ReceiveSettings>, Pick<ReceiveDeps, 'lastReceivedHolds'> {
  readonly settings: CurrentSettings;
}

/** Many independent receives at once, at most one into a dataset (I1). */
export function openReceives(deps: ReceivesDeps): Receives {
  const { host } = deps;
  const running = new Map<string, Receive>();
  let stopping = false;

  function begin({ protocol: _, secret, ...start }: StartRequest): Promise<ReceiveReady> {
    const same = running.get(start.transfer);
    // a repetition because the first answer was lost: only its source knows the secret
    if (same && isDeepStrictEqual([same.incoming, same.start], [{ secret }, start])) return same.ready;
    return admit(start, { secret }).ready;
  }

  function admit(start: ReceiveStart, incoming: Incoming): Receive {
    const same = running.get(start.transfer);
    const settings = deps.settings.now;
    const { receive: config } = settings.config;
    checkConfigured(start, host, config);
    if (stopping) throw new ZpsendError('BUSY', `the receiver on ${host} is stopping`);
    const rival = [...running.values()].find((receive) => receive.start.targetDataset === start.targetDataset);
    if (rival || same) throw locked(host, deps.instance, rival ?? same ?? { start, progress: 0 });
    if (running.size >= config.maxConcurrent) {
      throw new ZpsendError('BUSY', `${host} runs ${running.size} receives already, and that is its limit`, {
        reason: 'queued',
        running: running.size,
      });
    }
    const own = receiveSettingsOf(settings, deps.lastReceivedHolds);
    const receive = beginReceive({ ...deps, ...own }, start, incoming);
    running.set(start.transfer, receive);
    void receive.over.then(() => running.delete(start.transfer));
    return receive;
  }

  const status = (transfer: string | undefined) =>
    [...running.values()]
      .filter((receive) => transfer === undefined || receive.start.transfer === transfer)
      .map((receive) => receive.status());

  const abort = (transfer: string): boolean => {
    const receive = running.get(transfer);
    receive?.abort(new ZpsendError('ABORTED', `transfer ${transfer} was aborted by request on ${host}`).toBody());
    return receive !== undefined;
  };

  return {
    start: begin,
    admit,
    has: (transfer) => running.has(transfer),
    status,
    abort,
    async stop() {
      stopping = true;
      const error = new ZpsendError('STREAM_BROKEN', `the receiver on ${host} was stopped`).toBody();
      const ending = [...running.values()];
      for (const receive of ending) receive.abort(error);
      await Promise.all(ending.map((receive) => receive.over));
    },
  };
}

function locked(host: string, instance: string, rival: Pick<Receive, 'start' | 'progress'>): ZpsendError {
  const { targetDataset, sourceHost, transfer } = rival.start;
  return new ZpsendError(
    'LOCKED',
    `${targetDataset} on ${host} is already being received (transfer ${transfer} from ${sourceHost}): its lock is released when that transfer ends, and expires when its host is down`,
    { dataset: targetDataset, host, source: sourceHost, transfer, life: rival.progress, by: instance },
  );
}
