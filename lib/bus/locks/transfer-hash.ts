import { createHash } from 'node:crypto';

/** What a lock has instead of a transfer's id: it tells one transfer from another to those who know their ids. 16 hex digits. */
export const hashOfTransfer = (transfer: string): string =>
  createHash('sha256').update(`zpsend lock\n${transfer}`).digest('hex').slice(0, 16);
