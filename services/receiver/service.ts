import { openRateLimit } from '../../lib/bus/channel/rate-limit.ts';
import { storeConnection } from '../../lib/bus/channel/store/connection.ts';
import { type Locks, openLocks } from '../../lib/bus/locks/locks.ts';
import { version } from '../../lib/settings/version.ts';
import { ZpsendError } from '../../schemas/errors.ts';
import { serveDigests } from '../host/digest-api.ts';
import { serveHost } from '../host/host-api.ts';
import { serveListings } from '../host/listing-api.ts';
import type { Service, ServiceContext } from '../host/run-service.ts';
import { serveReceiver } from './api.ts';
import { noLastReceivedHolds, openLastReceivedHolds } from './bases/last-received-holds.ts';
import { openRecentlyVerified } from './receive/recently-verified.ts';
import { openResumablePools } from './receive/resumable-pools.ts';
import { receiveStored } from './store/poll.ts';

/** All receives together stay far below the server's max_pending of 64 MiB, and each has room for a round trip. */
const windowFor = (maxConcurrent: number): number =>
  Math.min(8 * 1024 * 1024, Math.max(512 * 1024, Math.floor((32 * 1024 * 1024) / maxConcurrent)));

/** Opens the locks at the first call, and again after a failure: JetStream may start later than this service. */
function lazily(context: ServiceContext): () => Promise<Locks> {
  let opened: Promise<Locks> | undefined;
  return () => {
    opened ??= openLocks(context.bus, context.settings.config.timing.lockSeconds, context.clock).catch((error) => {
      opened = undefined;
      throw error;
    });
    return opened;
  };
}

async function begin(context: ServiceContext) {
  const { settings, host, machine, instance, log, bus, zfs, clock } = context;
  const { receive, timing } = settings.config;
  const window = windowFor(receive.maxConcurrent);
  const locks = lazily(context);
  locks().catch((error) =>
    log.error('locks.unavailable', `${ZpsendError.from(error).message}; receives are refused meanwhile`),
  );
  if (receive.allow.length === 0) {
    log.warn(
      'receive.no-source-allowed',
      'no source host may write here: set receive.allow in the configuration, or ZPSEND_ALLOW=HOST=DATASET',
    );
  }
  const lastReceivedHolds = receive.holdNewest ? openLastReceivedHolds({ zfs, log, clock }) : noLastReceivedHolds;
  const rateLimit = receive.bwlimit === undefined ? undefined : openRateLimit(receive.bwlimit);
  const receiver = serveReceiver(
    {
      ...context,
      locks,
      recentlyVerified: openRecentlyVerified(clock),
      resumablePools: openResumablePools(zfs),
      lastReceivedHolds,
      allow: receive.allow,
      properties: receive.properties,
      window,
      silenceMs: timing.silenceSeconds * 1000,
      rateLimit,
    },
    receive,
  );
  const store = storeConnection(bus, `zpsend-receiver on ${host} (store)`);
  const endStored = receiveStored({
    ...context,
    store,
    admit: receiver.admit,
    allow: receive.allow,
    storeDomains: receive.storeDomains,
    silenceMs: timing.silenceSeconds * 1000,
    rateLimit,
  });
  const digests = serveDigests({ ...context, rules: settings.config }, false);
  const self = { service: 'receiver' as const, instance, pid: process.pid, version, machine };
  const { maxConcurrent: maxConcurrentReceives, bwlimit } = receive;
  const limits = { maxConcurrentReceives, window, ...(bwlimit !== undefined && { bwlimit }) };
  return {
    endpoints: [
      ...serveHost({ host, bus, zfs, self, limits }, false),
      ...serveListings({ ...context, rules: settings.config }, false),
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
