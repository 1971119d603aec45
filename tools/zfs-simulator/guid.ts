import { randomFillSync } from 'node:crypto';

/** A random 64-bit number as a decimal string, over the whole unsigned range. */
export function randomGuid(): string {
  return randomFillSync(new BigUint64Array(1)).join('');
}

/** A random 32-bit number: the seed of an extent. */
export function randomNumber(): number {
  return randomFillSync(new Uint32Array(1))[0] ?? 0;
}

export const hexGuid = (guid: string): string => BigInt(guid).toString(16);
