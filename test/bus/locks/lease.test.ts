import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { jetstream } from '@nats-io/jetstream';
import { type KV, Kvm } from '@nats-io/kv';
import { headers } from '@nats-io/transport-node';
import { execa } from 'execa';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { Bus } from '../../../lib/bus/connection/connect.ts';
import type { Lease } from '../../../lib/bus/locks/lease.ts';
import { type Locks, openLocks } from '../../../lib/bus/locks/locks.ts';
import { hashOfTransfer } from '../../../lib/bus/locks/transfer-hash.ts';
import { keySubject, lockKey, locksBucket } from '../../../lib/bus/subjects.ts';
import type { ZpsendError } from '../../../schemas/errors.ts';
import type { Lock } from '../../../schemas/transfer.ts';
import { rejection, useBus } from '../../support/bus.ts';
import { useLink } from '../../support/link.ts';
import { mentions } from '../../support/mentions.ts';
import { useNatsAccounts } from '../../support/nats-account.ts';
import { ownNatsServer } from '../../support/nats-server.ts';

const natsUrl = useNatsAccounts();
const host = 'smos-00';
/** In milliseconds; renewed every third of it. */
const ttl = 2000;

let count = 0;
const aLock = (source = 'smos-01'): Lock => {
  count += 1;
  return {
    owner: `${host}/instance1`,
    nonce: crypto.randomUUID(),
    transferHash: hashOfTransfer(`transfer${count}`),
    source,
  };
};
const useLocks = async (url = natsUrl()): Promise<Locks> => openLocks(await useBus(url), ttl / 1000);
const bucket = async (bus: Bus): Promise<KV> => new Kvm(jetstream(bus.nc)).open(locksBucket);

/** Takes the lock when it becomes free. */
async function takeWhenFree(locks: Locks, dataset: string): Promise<Lease> {
  for (;;) {
    const taken = await locks.acquire(host, dataset, aLock()).catch((error: ZpsendError) => error);
    if (!('code' in taken)) return taken;
    expect(taken.code).toBe('LOCKED');
    await sleep(50);
  }
}

describe('I1: a lock', () => {
  test('is refused to everyone else, with who holds it', async () => {
    const [one, two] = [await useLocks(), await useLocks()];
    const lock = aLock();
    const lease = await one.acquire(host, 'tank/a b:c.d', lock);
    onTestFinished(() => lease.release());
    const error = await rejection(two.acquire(host, 'tank/a b:c.d', aLock('smos-02')));
    expect(error).toMatchObject({ code: 'LOCKED', retryable: true });
    expect(error.message).toEqual(mentions('tank/a b:c.d', host, 'smos-01', lock.owner));
    const { owner, source, transferHash } = lock;
    expect(error.details).toEqual({ dataset: 'tank/a b:c.d', host, owner, source, transferHash, life: lease.revision });
  });

  test('is of one dataset on one host', async () => {
    const locks = await useLocks();
    const leases = await Promise.all([
      locks.acquire(host, 'tank/a', aLock()),
      locks.acquire(host, 'tank/a.b', aLock()),
      locks.acquire(host, 'tank/a/b', aLock()),
      locks.acquire('smos-09', 'tank/a', aLock()),
    ]);
    const locked = (await locks.list()).map((lock) => `${lock.host}:${lock.dataset}`);
    for (const name of ['smos-00:tank/a', 'smos-00:tank/a.b', 'smos-00:tank/a/b', 'smos-09:tank/a']) {
      expect(locked).toContain(name);
    }
    await Promise.all(leases.map((lease) => lease.release()));
  });

  test('goes to exactly one of two hosts that race for it, every time', async () => {
    const contenders = [await useLocks(), await useLocks()];
    for (let round = 0; round < 50; round += 1) {
      const locks = contenders.map(() => aLock());
      const results = await Promise.all(
        contenders.map((contender, n) => {
          const lock = locks[n] ?? aLock();
          return contender.acquire(host, 'tank/race', lock).then(
            (lease) => ({ lease, lock }),
            (error: ZpsendError) => ({ error }),
          );
        }),
      );
      const won = results.flatMap((result) => ('lease' in result ? [result] : []));
      const refused = results.flatMap((result) => ('error' in result ? [result.error] : []));
      expect([won.length, refused.length]).toEqual([1, 1]);
      expect(refused[0]).toMatchObject({ code: 'LOCKED', details: { transferHash: won[0]?.lock.transferHash } });
      await won[0]?.lease.release();
    }
  });

  test('has a new revision with each renewal: it shows that its holder lives', async () => {
    const [one, two] = [await useLocks(), await useLocks()];
    const lease = await one.acquire(host, 'tank/lives', aLock());
    onTestFinished(() => lease.release());
    const life = async () => Number((await rejection(two.acquire(host, 'tank/lives', aLock()))).details?.life);
    const before = await life();
    await expect.poll(life, { timeout: 10_000 }).toBeGreaterThan(before);
  });
});

describe('a lease', () => {
  test('is kept past several times to live, and no other gets the lock meanwhile', async () => {
    const [one, two] = [await useLocks(), await useLocks()];
    const lease = await one.acquire(host, 'tank/kept', aLock());
    const first = lease.revision;
    const until = performance.now() + 3 * ttl;
    while (performance.now() < until) {
      expect((await rejection(two.acquire(host, 'tank/kept', aLock()))).code).toBe('LOCKED');
      await sleep(200);
    }
    expect(lease.lost.aborted).toBe(false);
    expect(lease.revision).toBeGreaterThan(first);
    expect(await one.list()).toContainEqual(
      expect.objectContaining({ dataset: 'tank/kept', revision: lease.revision }),
    );
    await lease.release();
    await (await two.acquire(host, 'tank/kept', aLock())).release();
  });

  test('that is released frees the lock at once, and may be released twice', async () => {
    const [one, two] = [await useLocks(), await useLocks()];
    const lease = await one.acquire(host, 'tank/freed', aLock());
    await lease.release();
    await lease.release();
    expect(lease.lost.aborted).toBe(false);
    await (await two.acquire(host, 'tank/freed', aLock())).release();
  });

  test('that is released before the answer to a renewal arrives frees the lock all the same', async () => {
    const link = await useLink(natsUrl(), 200);
    const [one, two] = [await useLocks(link.url), await useLocks()];
    const kv = await bucket(await useBus(natsUrl()));
    const lease = await one.acquire(host, 'tank/renewing', aLock());
    const stored = async () => (await kv.get(lockKey(host, 'tank/renewing')))?.revision ?? 0;
    while ((await stored()) <= lease.revision) await sleep(5);
    await lease.release();
    await (await two.acquire(host, 'tank/renewing', aLock())).release();
  });

  test.each<[string, (kv: KV, key: string) => Promise<unknown>]>([
    ['overwrote', (kv, key) => kv.put(key, JSON.stringify(aLock('smos-02')))],
    ['deleted', (kv, key) => kv.delete(key)],
    ['purged', purgeMark],
    ['put nonsense into', (kv, key) => kv.put(key, 'nonsense')],
  ])('whose lock another client %s is lost, and releases nothing that is not its own', async (what, interfere) => {
    const bus = await useBus(natsUrl());
    const locks = await openLocks(bus, ttl / 1000);
    const dataset = `tank/${what}`;
    const lease = await locks.acquire(host, dataset, aLock());
    const kv = await bucket(bus);
    const key = lockKey(host, dataset);
    await interfere(kv, key);
    const left = await kv.get(key);
    await expect.poll(() => lease.lost.aborted, { timeout: 10_000 }).toBe(true);
    expect(lease.lost.reason).toMatchObject({ code: 'LOCKED', message: mentions(key) });
    await lease.release();
    const after = await kv.get(key);
    // what was stored last is there still, or has expired
    expect([left?.revision, undefined]).toContain(after?.revision);
  });

  test('I13: whose connection is cut is lost before anyone else gets the lock', async () => {
    const link = await useLink(natsUrl());
    const [one, two] = [await useLocks(link.url), await useLocks()];
    const lease = await one.acquire(host, 'tank/cut', aLock());
    const first = lease.revision;
    while (lease.revision === first) await sleep(20);
    link.cut();
    const next = await takeWhenFree(two, 'tank/cut');
    expect(lease.lost.aborted).toBe(true);
    await lease.release();
    // longer than it takes to renew a lock
    await sleep(ttl / 2);
    expect(next.lost.aborted, 'the old holder takes nothing from the new one').toBe(false);
    await next.release();
  });

  test('I13: is lost while the server is away, and the lock expires', async () => {
    const own = await ownNatsServer();
    const one = await useLocks(own.url);
    const lease = await one.acquire(host, 'tank/away', aLock());
    await own.kill();
    await expect.poll(() => lease.lost.aborted, { timeout: 10_000 }).toBe(true);
    await own.restart();
    const two = await useLocks(own.url);
    await (await takeWhenFree(two, 'tank/away')).release();
  });

  test('of a process that was killed expires', async () => {
    const program = `
      import { connectBus } from './lib/bus/connection/connect.ts';
      import { openLocks } from './lib/bus/locks/locks.ts';
      const bus = await connectBus({ name: 'killed', env: process.env, wait: false });
      const locks = await openLocks(bus, ${ttl / 1000});
      await locks.acquire('${host}', 'tank/killed', ${JSON.stringify(aLock())});
      console.log('acquired');
      setInterval(() => {}, 1000);`;
    const holder = execa(process.execPath, ['--input-type=module-typescript', '-e', program], {
      env: { NATS_URL: natsUrl() },
      reject: false,
    });
    expect(String(await once(holder.stdout, 'data'))).toBe('acquired\n');
    const locks = await useLocks();
    expect((await rejection(locks.acquire(host, 'tank/killed', aLock()))).code).toBe('LOCKED');
    holder.kill('SIGKILL');
    await holder;
    await (await takeWhenFree(locks, 'tank/killed')).release();
  });
});

/** As `kv.purge`, without the header that the bucket refuses. */
async function purgeMark(_kv: KV, key: string): Promise<void> {
  const marks = headers();
  marks.set('KV-Operation', 'PURGE');
  await jetstream((await useBus(natsUrl())).nc).publish(keySubject(locksBucket, key), '', { headers: marks });
}

describe('the bucket of locks', () => {
  test('keeps the time to live it was made with, has no history, and has a description', async () => {
    const own = await ownNatsServer();
    const bus = await useBus(own.url);
    const opened = await Promise.all([openLocks(bus, 5), openLocks(await useBus(own.url), 5)]);
    await openLocks(bus, 60);
    expect(await (await bucket(bus)).status()).toMatchObject({ history: 1, ttl: 5000, bucket: 'zfs-locks' });
    expect(await opened[0]?.list()).toEqual([]);
  });

  test('without a time to live is refused: a dead host’s locks would stay', async () => {
    const own = await ownNatsServer();
    const bus = await useBus(own.url);
    await new Kvm(jetstream(bus.nc)).create(locksBucket, { history: 1 });
    const error = await rejection(openLocks(bus, 5));
    expect(error).toMatchObject({ code: 'UNSUPPORTED', message: mentions('zfs-locks') });
  });

  test.each([
    ['is off', {}],
    [
      'is not for this account',
      { jetstream: true, config: 'accounts { A { users = [{ user: a, password: b }] } }\nno_auth_user: a' },
    ],
  ])('needs JetStream: when it %s, the error has that and what to do', async (_what, options) => {
    const own = await ownNatsServer(options);
    const error = await rejection(openLocks(await useBus(own.url), 5));
    expect(error).toMatchObject({ code: 'UNSUPPORTED', retryable: false });
    expect(error.message).toEqual(mentions('JetStream', 'nats-server', '-js'));
  });

  test('that cannot be asked is UNREACHABLE', async () => {
    const bus = await useBus(natsUrl());
    await bus.close();
    expect((await rejection(openLocks(bus, 5))).code).toBe('UNREACHABLE');
  });
});
