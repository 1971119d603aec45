import { Writable } from 'node:stream';
import type { Lease } from '../../lib/bus/lease/lease.ts';

type Callback = (error?: Error | null) => void;

/**
 * The standard input of `zfs receive` under a lease: each write asks the lease by the clock. One that comes while a renewal is late waits for it,
 * and none is done under a lost lease. As with `into` itself, an error here is no proof of failure.
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
  /** What comes together goes on together, in one write of the process. */
  function writeAll(chunks: readonly { chunk: Buffer }[], callback: Callback): void {
    const last = chunks.length - 1;
    into.cork();
    for (const [at, { chunk }] of chunks.entries()) into.write(chunk, at === last ? callback : undefined);
    into.uncork();
  }
  const input = new Writable({
    write: (chunk: Buffer, _encoding, callback) => whenHeld(() => into.write(chunk, callback), callback),
    writev: (chunks, callback) => whenHeld(() => writeAll(chunks, callback), callback),
    final: (callback) => whenHeld(() => into.end(() => callback()), callback),
    destroy(error, callback) {
      into.destroy();
      callback(error);
    },
  });
  input.on('error', () => {});
  into.once('error', (error) => input.destroy(error)).once('close', () => input.destroy());
  return input;
}
