import { sleep } from './processes.ts';
import { Refusal } from './refusal.ts';
import { parseSize } from './space.ts';

export interface Throttle {
  /** Bytes of one read or write, so that a slow stream moves steadily. */
  piece: number;
  /** Blocks until the rate allows this many more bytes. */
  pass(bytes: number): void;
}

/** A rate limit in bytes/s from an environment variable (`1M`), or none. */
export function throttle(variable: string, largest: number): Throttle {
  const text = process.env[variable];
  if (text === undefined || text === '') return { piece: largest, pass: () => undefined };
  const rate = parseSize(text);
  if (rate === undefined || rate === 0) throw new Refusal(`${variable}: '${text}' is no number of bytes a second`);
  const piece = Math.min(largest, Math.max(16_384, Math.floor(rate / 20 / 16_384) * 16_384));
  const began = performance.now();
  let passed = 0;
  return {
    piece,
    pass: (bytes) => {
      passed += bytes;
      const ahead = (passed / rate) * 1000 - (performance.now() - began);
      if (ahead > 1) sleep(ahead);
    },
  };
}

/** The share of zeros in a stream's content, which makes it compressible: `ZFS_SIM_ZEROS=0.5`. */
export const emptyShare = (): number => Number(process.env.ZFS_SIM_ZEROS || 0);

/** A failure that a test injects: `ZFS_SIM_FAIL=send:cannot send: Input/output error`. */
export function plannedFailure(verb: string): Refusal | undefined {
  const wanted = process.env.ZFS_SIM_FAIL ?? '';
  return wanted.startsWith(`${verb}:`) ? new Refusal(wanted.slice(verb.length + 1)) : undefined;
}
