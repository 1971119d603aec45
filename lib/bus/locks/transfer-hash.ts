import { createHash } from 'node:crypto';

/** What a lock has instead of a transfer's id: it distinguishes transfers for those who know their ids. 16 hex digits. */
export const hashOfTransfer = (transfer: string): string =>
  createHash('sha256').update(`zpsend lock\n${transfer}`).digest('hex').slice(0, 16);
