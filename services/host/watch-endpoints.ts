import type { Bus } from '../../lib/bus/connection/connect.ts';
import { deniedEndpoints } from '../../lib/bus/connection/denied-subjects.ts';
import type { Served } from '../../lib/bus/rpc/serve.ts';
import { type Clock, systemClock } from '../../lib/time/clock.ts';
import { timing } from '../../lib/time/timing.ts';
import type { ZpsendError } from '../../schemas/errors.ts';
import type { Log } from './log.ts';

export interface EndpointWatch {
  /** Why requests do not come, or not all, from the beginning. */
  readonly first: Promise<ZpsendError | undefined>;
  /** The same now; undefined while they come. */
  readonly denial: ZpsendError | undefined;
  stop(): void;
}

interface WatchDeps {
  readonly host: string;
  readonly bus: Bus;
  readonly log: Pick<Log, 'error' | 'info'>;
  readonly endpoints: readonly Served[];
  readonly clock?: Clock;
}

/**
 * Follows whether the NATS server permits a service its subscriptions. The caller reports a denial at the start; later ones are logged once.
 * They are subscribed to again by the clock and on each new connection, since an administrator may fix the permissions at any time.
 */
export function watchEndpoints(
  { host, bus, log, endpoints, clock = systemClock }: WatchDeps,
  everyMs = timing.connection.deniedEndpointMs,
): EndpointWatch {
  const denied = (): Served[] => endpoints.filter(({ isDenied }) => isDenied);
  let denial: ZpsendError | undefined;
  let isStopped = false;

  /** The server's refusals come before its answer to a flush. If the flush fails, a new connection subscribes again. */
  const flushed = (): Promise<boolean> =>
    bus.nc.flush().then(
      () => true,
      () => false,
    );

  /** @returns whether that is news */
  async function judge(): Promise<boolean> {
    if (!(await flushed())) return false;
    const before = denial;
    const subjects = denied().map(({ stats }) => stats.subject);
    // those of an instance are longer, and show less
    subjects.sort((one, other) => one.length - other.length);
    denial = subjects.length > 0 ? deniedEndpoints(bus, host, subjects) : undefined;
    return (denial === undefined) !== (before === undefined);
  }
  async function logNews(): Promise<void> {
    if (!(await judge()) || isStopped) return;
    if (denial)
      log.error('nats.denied', `${denial.code}: ${denial.message}; retrying`, {
        code: denial.code,
      });
    else log.info('nats.permitted', `the NATS server permits requests to ${host} again`);
  }
  let last: Promise<unknown> = Promise.resolve();
  const inTurn = (work: () => Promise<void>): void => {
    last = last.then(work);
  };

  let turn = 0;
  /** One each time, in turn, so that a lasting denial is one line in the server's log; if it succeeds, all others. */
  async function again(): Promise<void> {
    const found = denied();
    const tried = found[turn % found.length];
    if (!tried || isStopped) return;
    turn += 1;
    tried.subscribeAgain();
    const isLetThrough = (await flushed()) && !tried.isDenied;
    if (isStopped) return;
    if (isLetThrough) for (const endpoint of denied()) endpoint.subscribeAgain();
    await logNews();
  }

  const first = judge().then(() => denial);
  last = first;
  for (const endpoint of endpoints) endpoint.onDenied(() => inTurn(logNews));
  const stopTrying = clock.every(everyMs, () => inTurn(again));
  const stopWatching = bus.onReconnected(() => inTurn(again));
  return {
    first,
    get denial() {
      return denial;
    },
    stop() {
      isStopped = true;
      stopTrying();
      stopWatching();
    },
  };
}
