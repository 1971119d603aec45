import { openRateLimit } from '../../lib/bus/channel/rate-limit.ts';
import { storeConnection } from '../../lib/bus/channel/store/connection.ts';
import { type Locks, openLocks } from '../../lib/bus/locks/locks.ts';
import type { Settings } from '../../lib/settings/settings.ts';
import { version } from '../../lib/settings/version.ts';
import { ZpsendError } from '../../schemas/errors.ts';
import { serveDigests } from '../host/digest-api.ts';
import { serveHost } from '../host/host-api.ts';
import { serveListings } from '../host/listing-api.ts';
import type { Log } from '../host/log.ts';
import type { Service, ServiceContext } from '../host/run-service.ts';
import { serveReceiver } from './api.ts';
import { openLastReceivedHolds } from './bases/last-received-holds.ts';
import { windowFor } from './receive/receive-settings.ts';
import { openRecentlyVerified } from './receive/recently-verified.ts';
import { openResumablePools } from './receive/resumable-pools.ts';
import { receiveStored } from './store/poll.ts';

/** Opens the locks at the first call, and again after a failure: JetStream may start later than this service. */
function lazily(context: ServiceContext): () => Promise<Locks> {
  let opened: Promise<Locks> | undefined;
  return () => {
    opened ??= openLocks(context.bus, context.settings.now.config.timing.lockSeconds, context.clock).catch((error) => {
      opened = undefined;
      throw error;
    });
    return opened;
  };
}

function warnOfNoSource({ config: { receive } }: Settings, log: Log): void {
  if (receive.allow.length > 0) return;
  log.warn(
    'receive.no-source-allowed',
    'no source host may write here: set receive.allow in the configuration, or ZPSEND_ALLOW=HOST=DATASET',
  );
}

/** The limits that `info` reports. */
function limitsOf({ config: { receive } }: Settings) {
  const { maxConcurrent: maxConcurrentReceives, bwlimit } = receive;
  const window = windowFor(maxConcurrentReceives);
  return { maxConcurrentReceives, window, ...(bwlimit !== undefined && { bwlimit }) };
}

async function begin(context: ServiceContext) {
  const { settings, host, machine, instance, log, bus, zfs, clock } = context;
  const locks = lazily(context);
  locks().catch((error) =>
    log.error('locks.unavailable', `${ZpsendError.from(error).message}; receives are refused meanwhile`),
  );
  const lastReceivedHolds = openLastReceivedHolds({ zfs, log, clock });
  const rateLimit = openRateLimit(settings.now.config.receive.bwlimit, clock);
  warnOfNoSource(settings.now, log);
  settings.onChange((before) => {
    // the limit is that of all receives together, so it changes for running ones too
    rateLimit.setRate(settings.now.config.receive.bwlimit);
    if (before.config.receive.allow.length > 0) warnOfNoSource(settings.now, log);
  });
  const receiver = serveReceiver({
    ...context,
    locks,
    recentlyVerified: openRecentlyVerified(clock),
    resumablePools: openResumablePools(zfs),
    lastReceivedHolds,
    rateLimit,
  });
  const store = storeConnection(bus, `zpsend-receiver on ${host} (store)`);
  const endStored = receiveStored({
    ...context,
    store,
    admit: receiver.admit,
    rateLimit,
  });
  const digests = serveDigests(context, false);
  const self = { service: 'receiver' as const, instance, pid: process.pid, version, machine };
  return {
    endpoints: [
      ...serveHost({ host, bus, zfs, self, limits: () => limitsOf(settings.now) }, false),
      ...serveListings(context, false),
      ...digests.endpoints,
      ...receiver.endpoints,
    ],
    async stop() {
      await Promise.all([receiver.stop(), digests.stop(), endStored()]);
      await store.close();
      await lastReceivedHolds.flush();
    },
  };
}

export const receiver: Service = {
  name: 'receiver',
  description: 'Lists, locks and receives ZFS snapshots',
  begin,
};
