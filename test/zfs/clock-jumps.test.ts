import { execFileSync } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import type { Lease } from '../../lib/bus/locks/lease.ts';
import { settlesWithinMs } from '../../lib/bus/locks/lease-state.ts';
import { type Locks, openLocks } from '../../lib/bus/locks/locks.ts';
import { hashOfTransfer } from '../../lib/bus/locks/transfer-hash.ts';
import type { ZpsendError } from '../../schemas/errors.ts';
import type { Lock } from '../../schemas/transfer.ts';
import { startNatsServer } from '../../tools/nats-server/start.ts';
import { useBus } from '../support/bus.ts';
import { useLink } from '../support/link.ts';

/** Time to live of a lock, in seconds: an emulated machine renews late. */
const ttl = 10;
/** Moments of the server's work at which the clock is set, each another one. */
const rounds = 3;
const [host, dataset] = ['smos-00', 'tank/a'];
let count = 0;
const aLock = (): Lock => {
  count += 1;
  const transferHash = hashOfTransfer(`transfer${count}`);
  return { owner: `${host}/one`, nonce: crypto.randomUUID(), transferHash, source: 'smos-01' };
};

const trueTime = Date.now() - performance.now();
/** The clock of the whole machine, which is nothing but this suite's; a lease asks the monotonic one. */
function setClock(to: string): void {
  expect(process.env.OPENZFS_VM, 'the clock of the virtual machine alone').toBe('1');
  execFileSync('date', ['-s', to]);
}
afterEach(() => setClock(`@${((trueTime + performance.now()) / 1000).toFixed(3)}`));

const mayAct = (lease: Lease | undefined): boolean => {
  try {
    lease?.assertHeld();
    return lease !== undefined;
  } catch {
    return false;
  }
};

/** Tries for the lock until it has it, or is stopped. */
function openRival(locks: Locks) {
  let lease: Lease | undefined;
  let isOver = false;
  const trying = (async () => {
    while (!isOver && !lease) {
      lease = await locks.acquire(host, dataset, aLock()).catch((error: ZpsendError) => {
        expect(error.code).toBe('LOCKED');
        return undefined;
      });
      await sleep(50);
    }
  })();
  const end = async (): Promise<void> => {
    isOver = true;
    await trying;
    await lease?.release();
  };
  return { lease: () => lease, end };
}

/** How often both may act, until the first holder has renewed its lock or may act no more. */
async function watchBoth(first: Lease, rival: () => Lease | undefined): Promise<number> {
  let both = 0;
  for (const until = performance.now() + settlesWithinMs + 1500; performance.now() < until; await sleep(10)) {
    if (mayAct(first) && mayAct(rival())) both += 1;
  }
  return both;
}

const holders = {
  /** As a rule. */
  'that its holder renews': async (url: string) => ({ url, cut: () => {} }),
  /** The holder acts for a while on its last renewal, so that the server has more time to take the lock away. */
  'whose holder is cut off': (url: string) => useLink(url),
};

describe.each(Object.keys(holders) as (keyof typeof holders)[])('I13: a lock %s', (which) => {
  test.each(['+60 sec', '+2 days', '-60 sec', '-2 days'])(
    'has no other holder before its holder has stopped, though the server’s clock is set by %s',
    async (jump) => {
      const server = await startNatsServer({ jetstream: true });
      await using _end = server;
      const second = await openLocks(await useBus(server.url), ttl);
      for (let round = 0; round < rounds; round += 1) {
        const { url, cut } = await holders[which](server.url);
        const first = await (await openLocks(await useBus(url), ttl)).acquire(host, dataset, aLock());
        const rival = openRival(second);
        // another moment between two expiry checks of the server
        await sleep((round * 1000 * ttl) / rounds);
        await first.confirmed();
        expect(rival.lease()).toBeUndefined();
        cut();
        setClock(jump);
        expect(await watchBoth(first, rival.lease), `both may act in round ${round}`).toBe(0);
        const isSetBack = jump.startsWith('-');
        const isRenewed = which === 'that its holder renews';
        if (!isRenewed) expect(mayAct(first)).toBe(false);
        else if (isSetBack) await first.confirmed();
        // the lock of an unreachable holder stays where the clock was set back
        if (isSetBack && !isRenewed) setClock(jump.replace('-', '+'));
        await first.release();
        await expect.poll(() => rival.lease() !== undefined).toBe(true);
        expect(mayAct(rival.lease())).toBe(true);
        await rival.end();
      }
    },
  );
});
