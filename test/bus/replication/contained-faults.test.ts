import { pino } from 'pino';
import { expect, onTestFinished, test } from 'vitest';
import { newSecret } from '../../../lib/bus/channel/direct/authentic.ts';
import { type DataConnection, openDataConnection } from '../../../lib/bus/data-connection/connection.ts';
import { openLocks } from '../../../lib/bus/locks/locks.ts';
import { systemClock } from '../../../lib/time/clock.ts';
import { createZfs } from '../../../lib/zfs/zfs.ts';
import { ZpsendError } from '../../../schemas/errors.ts';
import type { ReceiveStart } from '../../../schemas/transfer.ts';
import { logOf } from '../../../services/host/log.ts';
import { noLastReceivedHolds } from '../../../services/receiver/bases/last-received-holds.ts';
import { beginReceive } from '../../../services/receiver/receive/receive.ts';
import { openRecentlyVerified } from '../../../services/receiver/receive/recently-verified.ts';
import { openResumablePools } from '../../../services/receiver/receive/resumable-pools.ts';
import { noCursors } from '../../../services/sender/bases/cursors.ts';
import { startChain } from '../../../services/sender/replication/chain.ts';
import { jobLog } from '../../../services/sender/reporting/job-log.ts';
import { rejection, useBus } from '../../support/bus.ts';
import { mentions } from '../../support/mentions.ts';
import { useNatsAccounts } from '../../support/nats-account.ts';
import { contextOf } from '../../support/planning.ts';
import { makeSimHost } from '../../support/sim-host.ts';

// an unhandled rejection fails the run of any test here

const natsUrl = useNatsAccounts();
const log = logOf(pino({ enabled: false }));

/** A host with a pool, and a data connection that has closed for good. */
async function useHost(name: string) {
  const host = await makeSimHost(name);
  onTestFinished(() => host.remove());
  await host.zpool('create', 'zones');
  const bus = await useBus(natsUrl());
  const dataConnection: DataConnection = await openDataConnection(bus.options);
  await dataConnection.close();
  return { host: name, bus, dataConnection, zfs: createZfs({ host: name, env: host.env }), log, silenceMs: 3000 };
}

test('a receive that cannot listen for its data is refused, and gives its lock back', async () => {
  const deps = await useHost('smos-00');
  const locks = await openLocks(deps.bus, 4);
  const start: ReceiveStart = {
    transfer: 'transfer1',
    job: 'jobjobjob1',
    sourceHost: 'smos-01',
    targetDataset: 'zones/test',
    to: { name: 'zones/test@one', guid: '1' },
    partial: 'resume',
  };
  const receive = beginReceive(
    {
      ...deps,
      instance: 'instance1',
      clock: systemClock,
      locks: async () => locks,
      recentlyVerified: openRecentlyVerified(systemClock),
      resumablePools: openResumablePools(deps.zfs),
      lastReceivedHolds: noLastReceivedHolds,
      allow: [{ from: '*', into: 'zones', conflicts: [] }],
      properties: { set: {}, exclude: [] },
      window: 1024 * 1024,
    },
    start,
    { secret: newSecret() },
  );
  expect(await rejection(receive.ready)).toMatchObject({
    code: 'INTERNAL',
    message: mentions('closed connection'),
  });
  await receive.over;
  expect(await locks.list()).toEqual([]);
});

test('a chain whose end cannot be reported ends alone', async () => {
  const deps = await useHost('smos-01');
  const reported = Promise.withResolvers<void>();
  const chain = startChain(
    { ...deps, clock: systemClock, ask: () => Promise.reject(new Error('nothing to ask for')), patienceMs: 1000 },
    {
      job: 'jobjobjob1',
      targetHost: 'smos-00',
      sourceDataset: 'zones/test',
      steps: [],
      replan: async () => ({ steps: [] }),
      tag: 'zpsend:jobjobjob1',
      transferId: () => 'jobjobjob1t1',
      ours: () => true,
      chainLog: jobLog(log, contextOf({ dataset: 'zones/test', to: { host: 'smos-00' } })).chain({
        sourceDataset: 'zones/test',
        targetDataset: 'zones/test',
      }),
      cursor: noCursors.chain(),
      report() {
        reported.resolve();
        throw new ZpsendError('INTERNAL', 'cannot be reported');
      },
    },
  );
  await reported.promise;
  await new Promise((resolve) => setImmediate(resolve));
  expect(chain.phase).toBe('done');
});
