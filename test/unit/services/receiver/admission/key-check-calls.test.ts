import pino from 'pino';
import { expect, test } from 'vitest';
import type { ChannelSender } from '../../../../../lib/bus/channel/channel.ts';
import type { Locks } from '../../../../../lib/bus/locks/locks.ts';
import { systemClock } from '../../../../../lib/time/clock.ts';
import type { InspectedName, Zfs } from '../../../../../lib/zfs/zfs.ts';
import { type ErrorBody, ZpsendError } from '../../../../../schemas/errors.ts';
import type { KeyWrapping } from '../../../../../schemas/inventory.ts';
import type { Step } from '../../../../../schemas/plan.ts';
import type { ReceiveStart } from '../../../../../schemas/transfer.ts';
import { logOf } from '../../../../../services/host/log.ts';
import { noLastReceivedHolds } from '../../../../../services/receiver/bases/last-received-holds.ts';
import { beginReceive } from '../../../../../services/receiver/receive/receive.ts';
import { openRecentlyVerified } from '../../../../../services/receiver/receive/recently-verified.ts';
import { openResumablePools } from '../../../../../services/receiver/receive/resumable-pools.ts';
import type { ReceiveDeps } from '../../../../../services/receiver/receive/run.ts';
import { runnable, type TransferDeps } from '../../../../../services/sender/transfer/transfer.ts';

const salted = (salt: string): KeyWrapping => ({ format: 'passphrase', salt, iterations: 350_000 });
const [old, now] = [salted('11'), salted('22')];
const seen = (name: string, root: string, wrapping: KeyWrapping): InspectedName => ({
  ...{ name, type: 'filesystem', guid: '1', createtxg: '1', written: 0, userrefs: 0 },
  ...{ encryptionRoot: root, wrapping },
});
const looker = (...all: InspectedName[]): Pick<Zfs, 'inspect'> => ({
  inspect: async (names) => all.filter(({ name }) => names.includes(name)),
});

test('edge case 26: a transfer whose key was changed since its plan starts no zfs send, and fails at the receiver', async () => {
  const step: Step = {
    ...{ type: 'incremental', targetDataset: 'p/r/a', flags: ['raw'], wrapping: old },
    ...{ from: { name: 't/r/a@1', guid: '1', kind: 'snapshot' }, to: { name: 't/r/a@2', guid: '2' } },
  };
  const started: unknown[] = [];
  const told: ErrorBody[] = [];
  const zfs: Pick<Zfs, 'inspect' | 'send'> = {
    ...looker(seen('t/r/a', 't/r', now)),
    send(stream) {
      started.push(stream);
      throw new Error('zfs send was started');
    },
  };
  const channel: Pick<ChannelSender, 'sent' | 'abort' | 'close'> = {
    sent: 0,
    abort: (error) => void told.push(error),
    close: () => {},
  };
  const transfer = runnable(
    { host: 'src', zfs: zfs as Zfs } as TransferDeps,
    { transfer: 'transfer1', job: 'jobjobjob1', targetHost: 'dst', step, discard: false },
    { channel: channel as ChannelSender, resume: { stale: false, offset: 0 }, participant: undefined, mode: 'none' },
  );
  await expect(transfer.run()).rejects.toMatchObject({ code: 'KEY_MISMATCH' });
  expect(started).toEqual([]);
  expect(told.map(({ code }) => code)).toEqual(['KEY_MISMATCH']);
});

test('edge case 26: a receive that would lock its dataset out is refused before a channel is opened', async () => {
  const start: ReceiveStart = {
    ...{
      transfer: 'transfer1',
      job: 'jobjobjob1',
      sourceHost: 'src',
      targetDataset: 'p/r/a',
      partial: 'resume',
      raw: true,
    },
    ...{ from: { guid: '1' }, to: { name: 't/r/a@2', guid: '2' }, wrapping: now },
  };
  const locks: Locks = {
    acquire: async () => ({
      ...{ revision: 1, lost: new AbortController().signal, assertHeld: () => {} },
      ...{ confirmed: async () => {}, release: async () => {} },
    }),
    list: async () => [],
  };
  const zfs = looker(seen('p/r', 'p/r', old), seen('p/r/a', 'p/r', old)) as Zfs;
  const deps: Partial<ReceiveDeps> = {
    ...{ host: 'dst', instance: 'one', silenceMs: 1000, window: 1 << 20, zfs, clock: systemClock },
    ...{
      locks: async () => locks,
      recentlyVerified: openRecentlyVerified(systemClock),
      lastReceivedHolds: noLastReceivedHolds,
      log: logOf(pino({ enabled: false })),
    },
    ...{ resumablePools: openResumablePools({ poolFacts: async () => undefined }) },
    ...{ allow: [{ from: 'src', into: 'p', conflicts: [] }] },
  };
  const receive = beginReceive(deps as ReceiveDeps, start, {
    stored() {
      throw new ZpsendError('INTERNAL', 'a channel was opened');
    },
  });
  await expect(receive.ready).rejects.toMatchObject({ code: 'KEY_MISMATCH' });
  await receive.over;
});
