import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { Kvm } from '@nats-io/kv';
import { headers } from '@nats-io/transport-node';
import { describe, expect, test, vi } from 'vitest';
import type { Bus } from '../../../lib/bus/connection/connect.ts';
import { keepsEntries } from '../../../lib/bus/jetstream/kv-bucket.ts';
import { settlesWithinMs } from '../../../lib/bus/locks/lease-state.ts';
import { openLocks } from '../../../lib/bus/locks/locks.ts';
import { hashOfTransfer } from '../../../lib/bus/locks/transfer-hash.ts';
import { settlingMs } from '../../../lib/bus/locks/vacancy.ts';
import { keySubject, lockKey, locksBucket } from '../../../lib/bus/subjects.ts';
import type { Lock } from '../../../schemas/transfer.ts';
import { useBus } from '../../support/bus.ts';
import { newNatsAccount } from '../../support/nats-account.ts';

// the rule itself, whose decisions are recorded: no time is measured
vi.mock('../../../lib/bus/locks/vacancy.ts', { spy: true });

const host = 'smos-00';
const stream = `KV_${locksBucket}`;
const [dataset, key] = ['tank/a', lockKey(host, 'tank/a')];
const subject = keySubject(locksBucket, key);
let count = 0;
const aLock = (): Lock => {
  count += 1;
  const transferHash = hashOfTransfer(`transfer${count}`);
  return { owner: `${host}/one`, nonce: crypto.randomUUID(), transferHash, source: 'smos-01' };
};

const manager = ({ nc }: Bus) => jetstreamManager(nc, { checkAPI: false });
const edit = (change: object) => async (bus: Bus) => (await manager(bus)).streams.update(stream, change);

async function rollUp({ nc }: Bus, what: 'sub' | 'all'): Promise<unknown> {
  const marks = headers();
  marks.set('Nats-Rollup', what);
  return jetstream(nc).publish(subject, '', { headers: marks });
}

const attacks: [string, (bus: Bus) => Promise<unknown>][] = [
  ['a purge', async (bus) => (await manager(bus)).streams.purge(stream)],
  ['a purge of one key', async (bus) => (await manager(bus)).streams.purge(stream, { filter: subject })],
  [
    'the deletion of one message',
    async (bus) => {
      const { streams } = await manager(bus);
      const { seq = 0 } = (await streams.getMessage(stream, { last_by_subj: subject })) ?? {};
      return streams.deleteMessage(stream, seq);
    },
  ],
  ['a write that takes away its key', (bus) => rollUp(bus, 'sub')],
  ['a write that takes away all keys', (bus) => rollUp(bus, 'all')],
  ['an edit that allows purges', edit({ deny_purge: false })],
  ['an edit that allows deletions', edit({ deny_delete: false })],
  ['an edit that allows purges by a header', edit({ allow_rollup_hdrs: true })],
];

test.each(attacks)('I13: the bucket of locks that a service makes refuses %s', async (_, attack) => {
  const bus = await useBus(await newNatsAccount());
  await openLocks(bus, 30);
  const { seq } = await jetstream(bus.nc).publish(subject, JSON.stringify(aLock()));
  const { streams } = await manager(bus);
  const config = async () => (await streams.info(stream)).config;
  expect(await config()).toMatchObject(keepsEntries);
  await expect(attack(bus)).rejects.toThrow();
  expect(await config()).toMatchObject(keepsEntries);
  expect((await streams.getMessage(stream, { last_by_subj: subject }))?.seq).toBe(seq);
});

describe('I13: the first lock of a dataset beside an older entry, while others write', () => {
  test.each([
    ['is free at once where no client can take entries away', undefined],
    ['waits where a client can', {}],
    ['waits where an entry may have its own age', { ...keepsEntries, allow_msg_ttl: true }],
  ])('%s', async (_, change) => {
    const url = await newNatsAccount();
    const bus = await useBus(url);
    if (change) {
      await new Kvm(jetstream(bus.nc)).create(locksBucket, { history: 1, ttl: 30_000 });
      await edit(change)(bus);
    }
    const [one, two] = [await openLocks(bus, 30), await openLocks(await useBus(url), 30)];
    await (await one.acquire(host, 'tank/older', aLock())).release();
    const { streams } = await manager(bus);
    const ageOfOldest = async () => {
      const { ts = '', state } = await streams.info(stream);
      return Date.parse(ts) - Date.parse(state.first_ts);
    };
    await expect.poll(ageOfOldest, { timeout: 10_000 }).toBeGreaterThan(settlesWithinMs);
    const other = await one.acquire(host, 'tank/other', aLock());
    const lease = await two.acquire(host, dataset, aLock());
    const wait = vi.mocked(settlingMs).mock.results.at(-1)?.value;
    expect(wait)[change ? 'toBeGreaterThan' : 'toBe'](0);
    await Promise.all([other.release(), lease.release()]);
  });
});
