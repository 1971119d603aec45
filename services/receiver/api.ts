import { isDeepStrictEqual } from 'node:util';
import { bytesPerPart } from '../../lib/bus/rpc/plan-parts.ts';
import { gather } from '../../lib/bus/rpc/request.ts';
import { type Served, serve } from '../../lib/bus/rpc/serve.ts';
import { subjects } from '../../lib/bus/subjects.ts';
import type { ReceiveConfig } from '../../schemas/config.ts';
import { ZpsendError } from '../../schemas/errors.ts';
import { repairRequestSchema, staleRequestSchema } from '../../schemas/stale.ts';
import {
  type ReceiveReady,
  type ReceiveStart,
  receiveAbortedSchema,
  receiveCheckSchema,
  receiveStartSchema,
  receiveStatusRequestSchema,
  receiveStatusSchema,
  type StartRequest,
  transferRequestSchema,
} from '../../schemas/transfer.ts';
import { repair, staleReply } from '../host/stale.ts';
import { checkAsker } from './admission/admission.ts';
import { checkConfigured, checkedParts } from './admission/check-configured.ts';
import { findStaleMarks, repairStaleMark } from './bases/stale.ts';
import type { Incoming, OpenChannel } from './receive/open-channel.ts';
import { beginReceive, type Receive, type ReceiveDeps } from './receive/receive.ts';

/** How long siblings have to answer for themselves, in milliseconds. */
const siblingsMs = 300;

export interface Receiver {
  readonly endpoints: Served[];
  /**
   * Begins a receive whose stream comes by another channel than the direct one.
   * @throws ZpsendError what a request for the same would be refused with
   */
  admit(start: ReceiveStart, open: OpenChannel): Receive;
  /** Ends every receive and resolves when their locks are given back. */
  stop(): Promise<void>;
}

/** Serves `zfs.<host>.recv.*`: many independent receives at once, at most one into a dataset (I1). */
export function serveReceiver(deps: ReceiveDeps, config: ReceiveConfig): Receiver {
  const { host, bus } = deps;
  const running = new Map<string, Receive>();
  let stopping = false;

  function asked({ secret, ...start }: StartRequest): Promise<ReceiveReady> {
    const same = running.get(start.transfer);
    // asked again because our first answer was lost; nobody else knows the secret, or learns the answer's
    if (same && isDeepStrictEqual([same.incoming, same.start], [{ secret }, start])) return same.ready;
    return admit(start, { secret }).ready;
  }

  function admit(start: ReceiveStart, incoming: Incoming): Receive {
    const same = running.get(start.transfer);
    checkConfigured(start, host, config);
    if (stopping) throw new ZpsendError('BUSY', `the receiver on ${host} is stopping`);
    const rival = [...running.values()].find((receive) => receive.start.dataset === start.dataset);
    if (rival || same) throw locked(host, deps.instance, rival ?? same ?? { start, life: 0 });
    if (running.size >= config.maxConcurrent) {
      throw new ZpsendError('BUSY', `${host} runs ${running.size} receives already, and that is its limit`, {
        running: running.size,
      });
    }
    const receive = beginReceive(deps, start, incoming);
    running.set(start.transfer, receive);
    void receive.over.then(() => running.delete(start.transfer));
    return receive;
  }

  const status = (transfer: string | undefined) =>
    [...running.values()]
      .filter((receive) => transfer === undefined || receive.start.transfer === transfer)
      .map((receive) => receive.status());

  const abortHere = (transfer: string): boolean => {
    const receive = running.get(transfer);
    receive?.abort(new ZpsendError('ABORTED', `transfer ${transfer} was aborted by request on ${host}`).toBody());
    return receive !== undefined;
  };

  const each = subjects.each;
  const statusSubject = subjects.receive(host, 'status');
  const abortSubject = subjects.receive(host, 'abort');
  const everyStatus = async (asked: { transfer?: string | undefined }) => {
    const answers = await gather(bus, each(statusSubject), asked, receiveStatusSchema, siblingsMs);
    const own = status(asked.transfer);
    const theirs = answers.flatMap((answer) => answer.transfers).filter(({ transfer }) => !running.has(transfer));
    return [...own, ...theirs];
  };
  const look = () =>
    findStaleMarks({
      zfs: deps.zfs,
      places: config.allow.map(({ into }) => into),
      uid: process.getuid?.() ?? 0,
      inReceipt: async () => new Set((await everyStatus({})).map(({ dataset }) => dataset)),
    });

  const fromText = (transfer: string) => ({ transfer });
  const endpoints = [
    serve(bus, {
      name: 'recv-start',
      subject: subjects.receive(host, 'start'),
      queue: 'receiver',
      request: receiveStartSchema,
      handle: asked,
    }),
    serve(bus, {
      name: 'recv-start-from',
      subject: subjects.receiveFrom(host, '*'),
      queue: 'receiver',
      request: receiveStartSchema,
      handle(start, subject) {
        checkAsker(start, host, subject);
        return asked(start);
      },
    }),
    serve(bus, {
      name: 'recv-check-from',
      subject: subjects.receiveCheckFrom(host, '*'),
      queue: 'receiver',
      request: receiveCheckSchema,
      async *handle(asked, subject) {
        checkAsker(asked, host, subject);
        yield* checkedParts(asked, host, config, bytesPerPart(bus.maxPayload));
      },
    }),
    serve(bus, {
      name: 'recv-status',
      subject: statusSubject,
      queue: 'receiver',
      request: receiveStatusRequestSchema,
      fromText,
      handle: async (asked) => {
        const transfers = await everyStatus(asked);
        if (asked.transfer !== undefined && transfers.length === 0) throw unknownTransfer(asked.transfer, host);
        return { host, transfers };
      },
    }),
    serve(bus, {
      name: 'recv-abort',
      subject: abortSubject,
      queue: 'receiver',
      request: transferRequestSchema,
      fromText,
      handle: async ({ transfer }) => {
        const here = abortHere(transfer);
        const there = here ? [] : await gather(bus, each(abortSubject), { transfer }, receiveAbortedSchema, siblingsMs);
        if (!here && there.length === 0) throw unknownTransfer(transfer, host);
        return { transfer, aborted: true };
      },
    }),
    serve(bus, {
      name: 'recv-stale',
      subject: subjects.receive(host, 'stale'),
      queue: 'receiver',
      atOnce: 1,
      request: staleRequestSchema,
      handle: async () => staleReply(host, await look(), bus.maxPayload),
    }),
    serve(bus, {
      name: 'recv-repair',
      subject: subjects.receive(host, 'repair'),
      queue: 'receiver',
      atOnce: 1,
      request: repairRequestSchema,
      handle: ({ staleMarks }) => repair(host, staleMarks, look, (staleMark) => repairStaleMark(deps.zfs, staleMark)),
    }),
    serve(bus, {
      name: 'recv-status-each',
      subject: each(statusSubject),
      request: receiveStatusRequestSchema,
      handle: async ({ transfer }) => ({ host, transfers: status(transfer) }),
    }),
    serve(bus, {
      name: 'recv-abort-each',
      subject: each(abortSubject),
      request: transferRequestSchema,
      handle: async ({ transfer }) => (abortHere(transfer) ? { transfer, aborted: true } : undefined),
    }),
  ];

  return {
    endpoints,
    admit: (start, stored) => admit(start, { stored }),
    async stop() {
      stopping = true;
      const error = new ZpsendError('STREAM_BROKEN', `the receiver on ${host} was stopped`).toBody();
      const ending = [...running.values()];
      for (const receive of ending) receive.abort(error);
      await Promise.all(ending.map((receive) => receive.over));
    },
  };
}

function locked(host: string, instance: string, rival: Pick<Receive, 'start' | 'life'>): ZpsendError {
  const { dataset, source, transfer } = rival.start;
  return new ZpsendError(
    'LOCKED',
    `${dataset} on ${host} is already being received (transfer ${transfer} from ${source}): its lock is released when that transfer ends, and expires when its host is down`,
    { dataset, host, source, transfer, life: rival.life, by: instance },
  );
}

const unknownTransfer = (transfer: string, host: string): ZpsendError =>
  new ZpsendError('NO_SUCH_TRANSFER', `no transfer ${transfer} is running on ${host}`, { transfer });
