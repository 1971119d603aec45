import { version } from '../../lib/settings/version.ts';
import { serveDigests } from '../host/digest-endpoints.ts';
import { serveHost } from '../host/endpoints.ts';
import type { Service, ServiceContext } from '../host/life.ts';
import { serveSender } from './endpoints.ts';
import { filePolicies } from './policies/in-force.ts';

/** Jobs at once; each is at most one `zfs send` for each of the datasets that it sends at once. */
const maxJobs = 64;

const begin = (isPrivate: boolean) => async (context: ServiceContext) => {
  const { settings, host, instance, log, bus, zfs } = context;
  const { timing, send } = settings.config;
  const sender = serveSender({
    ...context,
    silenceMs: timing.silenceSeconds * 1000,
    patienceMs: timing.patienceSeconds * 1000,
    parallel: send.parallel,
    wireMode: send.wire,
    bookmarks: send.bookmarks,
    maxJobs,
    private: isPrivate,
    policies: filePolicies(host, send.policies),
    reconcileMs: send.reconcileMinutes * 60_000,
  });
  const digests = serveDigests(context, isPrivate);
  const self = { service: 'sender' as const, instance, pid: process.pid, version };
  return {
    endpoints: [
      ...serveHost({ host, bus, zfs, log, self, limits: {} }, isPrivate),
      ...digests.endpoints,
      ...sender.endpoints,
    ],
    stop: async () => void (await Promise.all([sender.stop(), digests.stop()])),
  };
};

/** @param isPrivate the sender that a command runs for itself, which takes nobody else's jobs */
export const sender = (isPrivate: boolean): Service => ({
  name: 'sender',
  description: 'Plans and sends ZFS snapshots',
  check: ({ host, config }) => void filePolicies(host, config.send.policies),
  begin: begin(isPrivate),
});
