import type { PlacedReceipt } from '../../lib/bus/channel/store/receipts.ts';
import type { ErrorBody } from '../../schemas/errors.ts';
import { manifestSchema, type Receipt } from '../../schemas/stored.ts';

const digest = `SHA-256=${'A'.repeat(43)}=`;

/** A stored stream of pool/a@1 from src, with its manifest. @param more fields of what the target is to receive */
export function storedStream(id: string, ...targets: [host: string, targetDataset: string, more?: object][]) {
  const start = { transfer: 'transfer1', job: 'jobjobjob1', sourceHost: 'src', to: { name: 'pool/a@1', guid: '1' } };
  const manifest = manifestSchema.parse({
    version: 1,
    id,
    source: 'src',
    bytes: 100_000,
    segment: 65_536,
    digests: [digest, digest],
    targets: targets.map(([host, targetDataset, more]) => ({ host, start: { ...start, targetDataset, ...more } })),
  });
  return { ...manifest, segments: manifest.digests.length };
}

/** @param place which of the manifest's targets */
export const receiptOf = (
  target: string,
  id: string,
  state: Receipt['state'],
  place = 0,
  error?: ErrorBody,
): PlacedReceipt => ({ target, id, place, receipt: { state, bytes: 0, ...(error && { error }) } });
