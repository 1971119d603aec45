import { type ErrorBody, reasonOf } from '../../../../schemas/errors.ts';
import type { Receipt, StoredStart, WaitingStream } from '../../../../schemas/stored.ts';
import type { PlacedReceipt } from './receipts.ts';

/** The state of one stored stream at one of its targets. */
export type DeliveryState =
  /** Its target has written no receipt for it. */
  | { readonly type: 'stored' }
  /** The same, although the receiver is online since `since` (monotonic milliseconds) and has written no receipt at all. */
  | { readonly type: 'unclaimed'; readonly since: number }
  | { readonly type: 'claimed' }
  /** Its target could not receive it, and tries again. */
  | { readonly type: 'blocked'; readonly error: ErrorBody }
  | SettledState;

/** The target does not need the stored stream any more. */
export type SettledState =
  | { readonly type: 'delivered' }
  | { readonly type: 'rejected'; readonly error?: ErrorBody | undefined }
  /** The stream was damaged or its base never arrived. The target has no fault. */
  | { readonly type: 'lost'; readonly error: ErrorBody };

export type DeliveryEvent =
  /** The receipt that the target has written. */
  | { readonly type: 'reported'; readonly receipt: Receipt }
  /** The receiver is online since `since`, and has written no receipt for any stored stream. */
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

/** Is the stream gone or damaged, or did its base never arrive? */
export const isLost = (error: ErrorBody): boolean => reasonOf(error) === 'lost';

export const isSettled = (state: DeliveryState): state is SettledState =>
  state.type === 'delivered' || state.type === 'rejected' || state.type === 'lost';

/** A stored stream at one of its targets. */
export interface StoredDelivery<S extends DeliveryState = DeliveryState> {
  /** Identifies the stream and the target in it. */
  readonly key: string;
  readonly stream: WaitingStream;
  /** The index of the target in the manifest. */
  readonly place: number;
  readonly target: string;
  readonly start: StoredStart;
  readonly state: S;
}

export type SettledDelivery = StoredDelivery<SettledState>;

export const isSettledDelivery = (delivery: StoredDelivery): delivery is SettledDelivery => isSettled(delivery.state);

/** The deliveries of all stored streams, with their states by the receipts, in the order in which the streams were stored. */
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
