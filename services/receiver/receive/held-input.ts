import type { Writable } from 'node:stream';
import type { Lease } from '../../../lib/bus/locks/lease.ts';
import { type Callback, inFrontOf, writeTogether } from './in-front.ts';

/**
 * The standard input of `zfs receive` under a lease: each write asks the lease by the clock. One that comes while a renewal is late waits for it,
 * and none is done under a lost lease.
 */
export function heldInput(into: Writable, lease: Pick<Lease, 'assertHeld' | 'confirmed'>): Writable {
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
