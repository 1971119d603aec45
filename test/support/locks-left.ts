import { setTimeout as sleep } from 'node:timers/promises';
import type { Bus } from '../../lib/bus/connection/connect.ts';
import { openLocks } from '../../lib/bus/locks/locks.ts';
import { retry } from './retry.ts';

/** What holds a lock, after those of the dead have expired. @param seconds the time to live of a lock */
export async function locksLeft(bus: Bus, seconds: number): Promise<string[]> {
  const locks = await retry(() => openLocks(bus, seconds));
  for (let tries = 0; tries < 3 * seconds; tries++) {
    if ((await locks.list()).length === 0) return [];
    await sleep(1000);
  }
  return (await locks.list()).map(({ host, dataset }) => `${dataset} on ${host}`);
}
