import type { DatasetEntry, Inventory, SnapshotEntry } from '../../../schemas/inventory.ts';
import { datasetOf, leafOf } from '../../../schemas/names.ts';
import type { Step } from '../../../schemas/plan.ts';
import { type Refusal, refuse } from '../refusal.ts';

/** A chain with its steps, and its datasets on both sides. */
export interface Chain {
  source: { host: string; dataset: DatasetEntry };
  target: { host: string; existing: DatasetEntry | undefined };
  steps: readonly Step[];
}

/**
 * Refuses a chain from or onto a snapshot that was received redacted (zfs-redact(8)). Its replica would lack blocks without showing
 * it, and ZFS receives only a stream with the same redaction onto it (contract/redaction.test.ts).
 */
export function redactedIn({ source, target, steps }: Chain, there: Inventory): Refusal | undefined {
  const redacted = new Set(source.dataset.snapshots.filter((entry) => entry.redacted).map(({ guid }) => guid));
  const sent = steps.find(({ to }) => redacted.has(to.guid));
  if (sent) {
    return refuse(
      'UNSUPPORTED',
      `${sent.to.name} on ${source.host} was received redacted, and its replica would lack the same blocks without showing it. ` +
        'To fix: send the dataset from the host on which it was redacted.',
      { details: { host: source.host, dataset: source.dataset.name } },
    );
  }
  const base = steps[0] && baseOnTarget(steps[0], target.existing, there);
  if (!base?.snapshot.redacted) return undefined;
  return refuse(
    'UNSUPPORTED',
    `${base.dataset}@${base.snapshot.name} on ${target.host} was received redacted, and ZFS accepts only increments with the same redaction. ` +
      `To fix: send ${source.dataset.name} under another name.`,
    { details: { host: target.host, dataset: base.dataset } },
  );
}

/** The target's snapshot that a chain continues or clones. */
function baseOnTarget(
  { from, origin }: Step,
  existing: DatasetEntry | undefined,
  { datasets }: Inventory,
): { dataset: string; snapshot: SnapshotEntry } | undefined {
  const holder = origin === undefined ? existing : datasets.find(({ name }) => name === datasetOf(origin));
  const leaf = origin === undefined ? undefined : leafOf(origin);
  const snapshot = holder?.snapshots.find(({ name, guid }) =>
    leaf === undefined ? guid === from?.guid : name === leaf,
  );
  return holder && snapshot && { dataset: holder.name, snapshot };
}
