import { storeConnection } from '../../lib/bus/channel/store/connection.ts';
import { openStatusStore } from '../../lib/bus/status/store.ts';
import { reconcileMsOf, type Settings } from '../../lib/settings/settings.ts';
import { version } from '../../lib/settings/version.ts';
import { serveDigests } from '../host/digest-api.ts';
import { serveHost } from '../host/host-api.ts';
import { serveListings } from '../host/listing-api.ts';
import type { Service, ServiceContext } from '../host/run-service.ts';
import { serveSender } from './api.ts';
import { openPlanTurns } from './planning/plan-turns.ts';
import { filePolicies } from './policies/active.ts';
import { knownEntries } from './reporting/known-entries.ts';
import { keepFresh } from './reporting/refresh-status.ts';
import { openStatusWriter } from './reporting/status-writer.ts';
import { reportBlocked } from './reporting/store-blocked.ts';
import { reportSettled } from './reporting/store-receipts.ts';
import { maintainStore } from './store/maintenance.ts';
import { ownStore } from './store/own-store.ts';
import { hasReceiver } from './store/unclaimed.ts';

/** Jobs at once. Each runs at most one `zfs send` for each dataset that it sends at once. */
const maxJobs = 64;

/** Of the store's bucket. */
const boundsOf = ({ config: { send } }: Settings) => ({
  maxBytes: send.store.maxBytes,
  maxAgeSeconds: send.store.maxAgeHours * 3600,
  replicas: send.store.replicas,
});

const begin = (isPrivate: boolean) => async (context: ServiceContext) => {
  const { settings, host, machine, instance, log, bus, zfs, clock } = context;
  const connection = storeConnection(bus, `zpsend-sender on ${host} (store)`);
  const store = ownStore({ host, bus, connection, bounds: () => boundsOf(settings.now), log });
  const statusStore = openStatusStore(bus);
  const status = openStatusWriter({
    store: statusStore,
    log,
    clock,
    ...(!isPrivate && { reconcileSeconds: () => reconcileMsOf(settings.now) / 1000 }),
  });
  const sender = serveSender({
    ...context,
    store,
    status,
    turns: openPlanTurns(),
    maxJobs,
    private: isPrivate,
  });
  const digests = serveDigests(context, isPrivate);
  const endMaintenance = maintainStore({
    host,
    zfs,
    log,
    clock,
    store,
    isBrief: isPrivate,
    livingJobs: sender.livingJobs,
    reportSettled: ({ target, start, state }) => reportSettled({ host, bus, zfs, status, clock }, target, start, state),
    reportBlocked: async (blocked) =>
      reportBlocked({ host, status, clock }, await knownEntries({ host, bus, status }), blocked),
    hasReceiver: (name) => hasReceiver(bus, name),
  });
  const endRefresh = isPrivate ? () => {} : keepFresh({ host, bus, zfs, clock, log, store: statusStore, settings });
  const self = { service: 'sender' as const, instance, pid: process.pid, version, machine };
  return {
    endpoints: [
      ...serveHost({ host, bus, zfs, self, limits: () => ({}) }, isPrivate),
      ...serveListings(context, isPrivate),
      ...digests.endpoints,
      ...sender.endpoints,
    ],
    async stop() {
      endRefresh();
      await Promise.all([sender.stop(), digests.stop()]);
      await endMaintenance();
      await Promise.all([status.stop(), connection.close()]);
    },
  };
};

/** @param isPrivate the sender that a command runs for itself, which accepts only its own job */
export const sender = (isPrivate: boolean): Service => ({
  name: 'sender',
  description: 'Plans and sends ZFS snapshots',
  check: ({ host, config }) => void filePolicies(host, config.send.policies),
  begin: begin(isPrivate),
});
