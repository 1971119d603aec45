import { bytesPerPart } from '../../lib/bus/rpc/plan-parts.ts';
import type { Served } from '../../lib/bus/rpc/serve.ts';
import { askInstances, serveVerb } from '../../lib/bus/rpc/serve-verbs.ts';
import { subjects } from '../../lib/bus/subjects.ts';
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
import { openReceives, type Receives, type ReceivesDeps } from './receive/registry.ts';

export interface Receiver {
  readonly endpoints: Served[];
  /**
   * Begins a receive by another channel than the direct one.
   * @throws ZpsendError as a request for the same
   */
  admit(start: ReceiveStart, open: OpenChannel): Receive;
  /** Ends every receive, and resolves when their locks are released. */
  stop(): Promise<void>;
}

/** The deps of a receiver's endpoints. */
interface Serving {
  readonly deps: ReceivesDeps;
  readonly receives: Receives;
}

/** Serves `zfs.<host>.recv.*`. */
export function serveReceiver(deps: ReceivesDeps): Receiver {
  const receives = openReceives(deps);
  const serving = { deps, receives };
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

/** The receives of this process, and of the other instances. */
function statusOfAll({ deps: { host, bus }, receives }: Serving): EveryStatus {
  return async (asked) => {
    const answers = await askInstances(bus, subjects.receive(host, 'status'), asked, receiveStatusSchema);
    const own = receives.status(asked.transfer);
    const theirs = answers.flatMap((answer) => answer.transfers).filter(({ transfer }) => !receives.has(transfer));
    return [...own, ...theirs];
  };
}

function startEndpoints({ deps: { host, bus, settings }, receives }: Serving): Served[] {
  const service = { bus, queue: 'receiver' };
  return [
    ...serveVerb(service, {
      name: 'recv-start',
      subject: subjects.receive(host, 'start'),
      request: receiveStartSchema,
      handle: receives.start,
      from: {
        subject: subjects.receiveFrom(host, '*'),
        handle(start, _source, subject) {
          checkAsker(start, host, subject);
          return receives.start(start);
        },
      },
    }),
    ...serveVerb(service, {
      name: 'recv-check',
      subject: subjects.receive(host, 'check'),
      request: receiveCheckSchema,
      from: {
        subject: subjects.receiveCheckFrom(host, '*'),
        async *handle(asked, _source, subject) {
          checkAsker(asked, host, subject);
          yield* checkedParts(asked, host, settings.now.config.receive, bytesPerPart(bus.maxPayload));
        },
      },
    }),
  ];
}

function runningEndpoints({ deps: { host, bus }, receives }: Serving, everyStatus: EveryStatus): Served[] {
  const service = { bus, queue: 'receiver' };
  const abortSubject = subjects.receive(host, 'abort');
  const fromText = (transfer: string) => ({ transfer });
  return [
    ...serveVerb(service, {
      name: 'recv-status',
      subject: subjects.receive(host, 'status'),
      request: receiveStatusRequestSchema,
      fromText,
      handle: async (asked) => {
        const transfers = await everyStatus(asked);
        if (asked.transfer !== undefined && transfers.length === 0) throw unknownTransfer(asked.transfer, host);
        return { host, transfers };
      },
      each: async ({ transfer }) => ({ host, transfers: receives.status(transfer) }),
    }),
    ...serveVerb(service, {
      name: 'recv-abort',
      subject: abortSubject,
      request: transferRequestSchema,
      fromText,
      handle: async ({ transfer }) => {
        const isKnown = async () =>
          (await askInstances(bus, abortSubject, { transfer }, receiveAbortedSchema)).length > 0;
        if (!receives.abort(transfer) && !(await isKnown())) throw unknownTransfer(transfer, host);
        return { transfer, aborted: true };
      },
      each: async ({ transfer }) => (receives.abort(transfer) ? { transfer, aborted: true } : undefined),
    }),
  ];
}

function staleEndpoints({ deps }: Serving, everyStatus: EveryStatus): Served[] {
  const { host, bus } = deps;
  const service = { bus, queue: 'receiver' };
  const find = () =>
    findStaleMarks({
      zfs: deps.zfs,
      places: deps.settings.now.config.receive.allow.map(({ into }) => into),
      uid: process.getuid?.() ?? 0,
      beingReceived: async () => new Set((await everyStatus({})).map(({ targetDataset }) => targetDataset)),
    });

  return [
    ...serveVerb(service, {
      name: 'recv-stale',
      subject: subjects.receive(host, 'stale'),
      atOnce: 1,
      request: staleRequestSchema,
      handle: async () => staleReply(host, await find(), bus.maxPayload),
    }),
    ...serveVerb(service, {
      name: 'recv-repair',
      subject: subjects.receive(host, 'repair'),
      atOnce: 1,
      request: repairRequestSchema,
      handle: ({ staleMarks }) => repair(host, staleMarks, find, (staleMark) => repairStaleMark(deps.zfs, staleMark)),
    }),
  ];
}

const unknownTransfer = (transfer: string, host: string): ZpsendError =>
  new ZpsendError('NO_SUCH_TRANSFER', `no transfer ${transfer} is running on ${host}`, { transfer });
