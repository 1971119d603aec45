import { bytesPerPart } from '../../lib/bus/rpc/plan-parts.ts';
import { gather } from '../../lib/bus/rpc/request.ts';
import { type Served, serve } from '../../lib/bus/rpc/serve.ts';
import { subjects } from '../../lib/bus/subjects.ts';
import { timing } from '../../lib/time/timing.ts';
import type { ReceiveConfig } from '../../schemas/config.ts';
import { ZpsendError } from '../../schemas/errors.ts';
import { repairRequestSchema, staleRequestSchema } from '../../schemas/stale.ts';
import {
  type ReceiveStart,
  receiveAbortedSchema,
  receiveCheckSchema,
  receiveStartSchema,
  receiveStatusRequestSchema,
  receiveStatusSchema,
  type TransferState,
  transferRequestSchema,
} from '../../schemas/transfer.ts';
import { repair, staleReply } from '../host/stale.ts';
import { checkAsker } from './admission/admission.ts';
import { checkedParts } from './admission/check-configured.ts';
import { findStaleMarks, repairStaleMark } from './bases/stale.ts';
import type { OpenChannel } from './receive/open-channel.ts';
import type { Receive } from './receive/receive.ts';
import { openReceives, type Receives } from './receive/registry.ts';
import type { ReceiveDeps } from './receive/run.ts';

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

/** What the endpoints of a receiver need. */
interface Serving {
  readonly deps: ReceiveDeps;
  readonly config: ReceiveConfig;
  readonly receives: Receives;
}

/** Serves `zfs.<host>.recv.*`. */
export function serveReceiver(deps: ReceiveDeps, config: ReceiveConfig): Receiver {
  const receives = openReceives(deps, config);
  const serving = { deps, config, receives };
  const everyStatus = statusOfAll(serving);
  return {
    endpoints: [
      ...startEndpoints(serving),
      ...runningEndpoints(serving, everyStatus),
      ...staleEndpoints(serving, everyStatus),
    ],
    admit: (start, stored) => receives.admit(start, { stored }),
    stop: receives.stop,
  };
}

type EveryStatus = (asked: { transfer?: string | undefined }) => Promise<TransferState[]>;

/** What this process runs, and what its siblings do. */
function statusOfAll({ deps: { host, bus }, receives }: Serving): EveryStatus {
  const statusSubject = subjects.receive(host, 'status');
  return async (asked) => {
    const answers = await gather(
      bus,
      subjects.each(statusSubject),
      asked,
      receiveStatusSchema,
      timing.request.siblingsMs,
    );
    const own = receives.status(asked.transfer);
    const theirs = answers.flatMap((answer) => answer.transfers).filter(({ transfer }) => !receives.has(transfer));
    return [...own, ...theirs];
  };
}

function startEndpoints({ deps: { host, bus }, config, receives }: Serving): Served[] {
  return [
    serve(bus, {
      name: 'recv-start',
      subject: subjects.receive(host, 'start'),
      queue: 'receiver',
      request: receiveStartSchema,
      handle: receives.start,
    }),
    serve(bus, {
      name: 'recv-start-from',
      subject: subjects.receiveFrom(host, '*'),
      queue: 'receiver',
      request: receiveStartSchema,
      handle(start, subject) {
        checkAsker(start, host, subject);
        return receives.start(start);
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
  ];
}

function runningEndpoints({ deps: { host, bus }, receives }: Serving, everyStatus: EveryStatus): Served[] {
  const { each } = subjects;
  const statusSubject = subjects.receive(host, 'status');
  const abortSubject = subjects.receive(host, 'abort');
  const fromText = (transfer: string) => ({ transfer });
  return [
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
        const here = receives.abort(transfer);
        const there = here
          ? []
          : await gather(bus, each(abortSubject), { transfer }, receiveAbortedSchema, timing.request.siblingsMs);
        if (!here && there.length === 0) throw unknownTransfer(transfer, host);
        return { transfer, aborted: true };
      },
    }),
    serve(bus, {
      name: 'recv-status-each',
      subject: each(statusSubject),
      request: receiveStatusRequestSchema,
      handle: async ({ transfer }) => ({ host, transfers: receives.status(transfer) }),
    }),
    serve(bus, {
      name: 'recv-abort-each',
      subject: each(abortSubject),
      request: transferRequestSchema,
      handle: async ({ transfer }) => (receives.abort(transfer) ? { transfer, aborted: true } : undefined),
    }),
  ];
}

function staleEndpoints({ deps, config }: Serving, everyStatus: EveryStatus): Served[] {
  const { host, bus } = deps;
  const look = () =>
    findStaleMarks({
      zfs: deps.zfs,
      places: config.allow.map(({ into }) => into),
      uid: process.getuid?.() ?? 0,
      beingReceived: async () => new Set((await everyStatus({})).map(({ dataset }) => dataset)),
    });

  return [
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
  ];
}

const unknownTransfer = (transfer: string, host: string): ZpsendError =>
  new ZpsendError('NO_SUCH_TRANSFER', `no transfer ${transfer} is running on ${host}`, { transfer });
