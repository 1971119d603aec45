import { type ErrorBody, reasonOf } from '../../../../schemas/errors.ts';
import type { Receipt, StoredStart, WaitingStream } from '../../../../schemas/stored.ts';
import type { PlacedReceipt } from './receipts.ts';

/** What has become of one stored stream at one of its targets. */
export type DeliveryState =
  /** Its target has reported nothing of it. */
  | { readonly type: 'stored' }
  /** The same, though its target's receiver is online, since then in monotonic milliseconds, and has reported nothing at all. */
  | { readonly type: 'unclaimed'; readonly since: number }
  | { readonly type: 'claimed' }
  /** Its target could not receive it, and tries again. */
  | { readonly type: 'blocked'; readonly error: ErrorBody }
  | SettledState;

/** The target needs the stored stream no more. */
export type SettledState =
  | { readonly type: 'delivered' }
  | { readonly type: 'rejected'; readonly error?: ErrorBody | undefined }
  /** The stream, or what it starts from, was lost on its way. That says nothing of the target. */
  | { readonly type: 'lost'; readonly error: ErrorBody };

export type DeliveryEvent =
  /** The receipt that the target has written. */
  | { readonly type: 'reported'; readonly receipt: Receipt }
  /** The target's receiver answers since then, and has reported nothing of any stored stream. */
  | { readonly type: 'online'; readonly since: number };

/** The state after an event. The newest receipt counts: a target that reports again has a reason. */
export function next(state: DeliveryState, event: DeliveryEvent): DeliveryState {
  switch (event.type) {
    case 'reported':
      return reported(event.receipt);
    case 'online':
      return state.type === 'stored' || state.type === 'unclaimed' ? { type: 'unclaimed', since: event.since } : state;
  }
}

function reported({ state, error }: Receipt): DeliveryState {
  switch (state) {
    case 'running':
      return error ? { type: 'blocked', error } : { type: 'claimed' };
    case 'done':
      return { type: 'delivered' };
    case 'failed':
      return error && isLost(error) ? { type: 'lost', error } : { type: 'rejected', error };
  }
}

/** The stream itself is gone or damaged, or what it starts from never came. */
export const isLost = (error: ErrorBody): boolean => reasonOf(error) === 'lost';

export const isSettled = (state: DeliveryState): state is SettledState =>
  state.type === 'delivered' || state.type === 'rejected' || state.type === 'lost';

/** A stored stream at one of its targets. */
export interface StoredDelivery<S extends DeliveryState = DeliveryState> {
  /** Of the stream and the target in it. */
  readonly key: string;
  readonly stream: WaitingStream;
  /** Which of the manifest's targets. */
  readonly place: number;
  readonly target: string;
  readonly start: StoredStart;
  readonly state: S;
}

export type SettledDelivery = StoredDelivery<SettledState>;

export const isSettledDelivery = (delivery: StoredDelivery): delivery is SettledDelivery => isSettled(delivery.state);

/** The deliveries of all stored streams, by what their targets have reported, in the order in which the streams were stored. */
export function deliveriesOf(waiting: readonly WaitingStream[], receipts: readonly PlacedReceipt[]): StoredDelivery[] {
  const reports = new Map(receipts.map(({ target, id, place, receipt }) => [`${target} ${id}.${place}`, receipt]));
  return waiting.flatMap((stream) =>
    stream.targets.map(({ host: target, start }, place): StoredDelivery => {
      const key = `${stream.id}.${place}`;
      const receipt = reports.get(`${target} ${key}`);
      const stored: DeliveryState = { type: 'stored' };
      const state = receipt ? next(stored, { type: 'reported', receipt }) : stored;
      return { key, stream, place, target, start, state };
    }),
  );
}
