import type { Writable } from 'node:stream';
import type { Lease } from '../../../lib/bus/locks/lease.ts';
import { type Callback, inFrontOf, writeTogether } from './in-front.ts';

/**
 * The standard input of `zfs receive` under a lease, which is checked before each write. A write waits for a late renewal, and none
 * happens under a lost lease.
 */
export function leasedInput(into: Writable, lease: Pick<Lease, 'assertHeld' | 'confirmed'>): Writable {
  function whenHeld(work: () => void, failed: Callback): void {
    try {
      lease.assertHeld();
    } catch {
      lease.confirmed().then(() => whenHeld(work, failed), failed);
      return;
    }
    work();
  }
  return inFrontOf(into, {
    write: (chunk: Buffer, _encoding, callback) => whenHeld(() => into.write(chunk, callback), callback),
    writev: (chunks, callback) => whenHeld(() => writeTogether(into, chunks, callback), callback),
    final: (callback) => whenHeld(() => into.end(() => callback()), callback),
  });
}
