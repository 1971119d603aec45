import type { FanRow } from './fan-out.ts';
import type { ListingRow } from './listing.ts';
import type { PlanningRow } from './planning.ts';
import type { SlowRow } from './slow-pool.ts';
import type { StepsRow } from './steps.ts';
import type { StoreRow } from './store.ts';
import type { StreamRow } from './stream.ts';
import { table } from './table.ts';
import type { TriggersRow } from './triggers.ts';

export interface Parts {
  readonly streams: readonly StreamRow[];
  readonly fan: readonly FanRow[];
  readonly store: StoreRow;
  readonly slow: SlowRow;
  readonly steps: StepsRow;
  readonly triggers: TriggersRow;
  readonly listing: ListingRow;
  readonly planning: readonly PlanningRow[];
}

export interface Results extends Partial<Parts> {
  readonly machine: { readonly cores: number; readonly model: string; readonly node: string };
}

const figure = (value: number | undefined, digits: number): string =>
  value === undefined ? '-' : value.toFixed(digits);

/** CPU time is that of the parties between the two zfs processes, which are the same for each transport. */
function tableOf(streams: readonly StreamRow[]): string {
  const ssh = streams.find(({ transport }) => transport === 'ssh, default cipher');
  const head = ['WAY', 'GB/S', 'OF SSH', 'SENDER CPU S/GB', 'SERVER', 'RECEIVER', 'SENDER MB', 'RECEIVER MB'];
  const rows = streams.map(({ transport, gbPerSecond, cpu, rss }) => [
    ...[transport, figure(gbPerSecond, 3), figure(ssh && gbPerSecond / ssh.gbPerSecond, 2)],
    ...[figure(cpu.sender, 2), figure(cpu.server, 2), figure(cpu.receiver, 2)],
    ...[figure(rss.sender, 0), figure(rss.receiver, 0)],
  ]);
  return table(head, rows);
}

/** The results for people. */
export function report({ machine, streams, fan, store, slow, steps, triggers, listing, planning }: Results): string {
  const lines = [`${machine.cores} cores, ${machine.model}, Node ${machine.node}`, ''];
  if (streams) lines.push(tableOf(streams), '');
  for (const { targets, rate, ofOne, ofEach, seconds, rss } of fan ?? []) {
    const where = rate === undefined ? '' : ` whose pools take ${rate} MB/s`;
    lines.push(
      `to ${targets} receivers${where} at once: ${figure(ofOne, 2)} of the time to one, ${figure(ofEach, 2)} of that to each in turn (${figure(seconds, 1)} s); sender ${figure(rss, 0)} MB`,
    );
  }
  if (store) {
    const { direct, put, get, parts, rss } = store;
    lines.push(
      `into the store ${figure(parts.put, 2)} of the direct channel's rate (${figure(put, 3)} of ${figure(direct, 3)} GB/s), out of it ${figure(parts.get, 2)} (${figure(get, 3)}); peak memory sender ${figure(rss.sender, 0)} MB, receiver ${figure(rss.receiver, 0)} MB`,
    );
  }
  if (slow) {
    const { seconds, sent, rss } = slow;
    lines.push(
      `into a pool of 1 MB/s for ${seconds} s: ${figure(sent / 1e6, 0)} MB sent, peak memory sender ${figure(rss.sender, 0)} MB, receiver ${figure(rss.receiver, 0)} MB`,
    );
  }
  if (steps) {
    lines.push(
      `${steps.steps} tiny incrementals: ${figure(steps.own, 2)} zfs processes per step, ${figure(steps.processes, 2)} with the job's own; ${figure(steps.wall, 0)} ms per step, ${figure(steps.beyond, 0)} ms of it with no zfs process running`,
    );
  }
  if (triggers) {
    const { runs, wall, beyond } = triggers;
    lines.push(
      `an empty snapshot from its event to its arrival, ${runs} times: p50 ${figure(wall.p50, 0)} ms and p99 ${figure(wall.p99, 0)} ms, of which with no zfs process running ${figure(beyond.p50, 0)} ms and ${figure(beyond.p99, 0)} ms`,
    );
  }
  if (listing) {
    lines.push(
      `${listing.snapshots} snapshots listed over the bus in ${figure(listing.seconds, 2)} s, the service peaking at ${figure(listing.rss, 0)} MB`,
    );
  }
  for (const { target, datasets, steps: planned, seconds, rss } of planning ?? []) {
    lines.push(
      `${datasets} datasets of 100 snapshots planned into ${target === 'empty' ? 'an empty' : 'a half full'} target: ${planned} steps in ${figure(seconds, 2)} s, peak memory ${figure(rss, 0)} MB`,
    );
  }
  return `${lines.join('\n')}\n`;
}
