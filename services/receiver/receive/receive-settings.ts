import type { Settings } from '../../../lib/settings/settings.ts';
import { type LastReceivedHolds, noLastReceivedHolds } from '../bases/last-received-holds.ts';
import type { ReceiveDeps } from './run.ts';

/** The settings with which a receive begins. It ends with them too, even if this host's settings change meanwhile. */
export type ReceiveSettings = Pick<ReceiveDeps, 'allow' | 'properties' | 'window' | 'silenceMs' | 'lastReceivedHolds'>;

/**
 * The window of a new receive, in bytes. All receives together stay far below the server's max_pending of 64 MiB, also while older ones
 * have the larger windows of a smaller `maxConcurrent`. Each has room for a round trip.
 */
export const windowFor = (maxConcurrent: number): number =>
  Math.min(8 * 1024 * 1024, Math.max(512 * 1024, Math.floor((32 * 1024 * 1024) / maxConcurrent)));

/** @param holds keeps the last-received holds, if the settings ask for them */
export function receiveSettingsOf(
  { config: { receive, timing } }: Settings,
  holds: LastReceivedHolds,
): ReceiveSettings {
  return {
    allow: receive.allow,
    properties: receive.properties,
    window: windowFor(receive.maxConcurrent),
    silenceMs: timing.silenceSeconds * 1000,
    lastReceivedHolds: receive.holdNewest ? holds : noLastReceivedHolds,
  };
}
