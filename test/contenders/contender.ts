import { setTimeout as sleep } from 'node:timers/promises';
import { connectBus } from '../../lib/bus/connection/connect.ts';
import type { Lease } from '../../lib/bus/locks/lease.ts';
import { openLocks } from '../../lib/bus/locks/locks.ts';
import { hashOfTransfer } from '../../lib/bus/locks/transfer-hash.ts';
import { createZfs } from '../../lib/zfs/zfs.ts';
import { ZpsendError } from '../../schemas/errors.ts';
import { underLease } from '../../services/receiver/receive/under-lock.ts';
import { acts, type Report } from './judge.ts';

/** A process that competes for one lock: it acquires it, acts under it, and releases it. */
const [, , who = '', seconds = ''] = process.argv;
/** Between two checks of the lease, and the longest gap between them in one stretch, in milliseconds. */
const [checkMs, stretchMs] = [10, 100];

const now = (): number => Number(process.hrtime.bigint()) / 1e6;
const report = (one: Report): void => void process.stdout.write(`${JSON.stringify(one)}\n`);

const bus = await connectBus({ name: `contender ${who}`, env: process.env, wait: true });
const locks = await openLocks(bus, Number(seconds));
let [lease, name, count]: [Lease | undefined, string, number] = [undefined, '', 0];
const zfs = underLease(createZfs({ env: process.env }), () => {
  if (lease) return lease;
  throw new ZpsendError('LOCKED', 'no lease');
});

/** When the lease was valid without a gap. */
let stretch: { from: number; to: number } | undefined;
function check(): void {
  const at = now();
  let isHeld = lease !== undefined;
  try {
    lease?.assertHeld();
  } catch {
    isHeld = false;
  }
  if (stretch && (!isHeld || at - stretch.to > stretchMs)) {
    report({ type: 'held', who, name, ...stretch });
    stretch = undefined;
  }
  if (isHeld) stretch = { from: stretch?.from ?? at, to: at };
}
setInterval(check, checkMs);

// what comes off the socket is handled before timers are, also after a stop
bus.nc.subscribe(acts, {
  callback: () => {
    if (lease) zfs.abortReceive(name).catch(() => {});
    try {
      if (lease) zfs.receive({ dataset: name, snapshot: 'now', resumable: true, set: {}, exclude: [] }).stdin.end();
    } catch {
      // the lease is not held
    }
  },
});

report({ type: 'ready', who });
for (;;) {
  try {
    count += 1;
    const taken = await locks.acquire('host', 'tank/lock', {
      ...{
        owner: `host/${who}`,
        nonce: crypto.randomUUID(),
        transferHash: hashOfTransfer(`${who}${count}`),
        source: 'source',
      },
    });
    [lease, name] = [taken, `tank/${who}-${count}`];
    const from = now();
    check();
    const lost = new Promise<'lost'>((resolve) => taken.lost.addEventListener('abort', () => resolve('lost')));
    const why = await Promise.race([lost, sleep(500 + Math.random() * 6000, 'released' as const)]);
    report({ type: 'taken', who, name, from, to: now(), why });
    lease = undefined;
    check();
    await taken.release();
  } catch (thrown) {
    const { code } = ZpsendError.from(thrown);
    report({ type: 'refused', who, code });
  }
  await sleep(40 + Math.random() * 100);
}
