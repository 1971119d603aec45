import type { DatasetEntry, Inventory, SnapshotEntry } from '../../../schemas/inventory.ts';
import { datasetOf, leafOf } from '../../../schemas/names.ts';
import type { Step } from '../../../schemas/plan.ts';
import { type Refusal, refuse } from '../refusal.ts';

/** A chain whose steps are known, with what both sides have of it. */
export interface Chain {
  source: { host: string; dataset: DatasetEntry };
  target: { host: string; name: string; existing: DatasetEntry | undefined };
  steps: readonly Step[];
}

/**
 * Why a chain cannot go from, or onto, what was received from a redacted stream (zfs-redact(8)). Sent on, such a snapshot
 * becomes a dataset that lacks blocks and does not tell; onto it ZFS takes only what is redacted alike
 * (contract/redaction.test.ts).
 */
export function redactedIn({ source, target, steps }: Chain, there: Inventory): Refusal | undefined {
  const redacted = new Set(source.dataset.snapshots.filter((entry) => entry.redacted).map(({ guid }) => guid));
  const sent = steps.find(({ to }) => redacted.has(to.guid));
  if (sent) {
    return refuse(
      'UNSUPPORTED',
      `${sent.to.name} on ${source.host} was received redacted, and its replica would lack the same blocks without telling. ` +
        'Way out: send the dataset from the host that it was redacted on.',
      { details: { host: source.host, dataset: source.dataset.name } },
    );
  }
  const base = steps[0] && baseOnTarget(steps[0], target.existing, there);
  if (!base?.snapshot.redacted) return undefined;
  return refuse(
    'UNSUPPORTED',
    `${base.dataset}@${base.snapshot.name} on ${target.host} was received redacted, and only what is redacted alike follows it. ` +
      `Way out: send ${source.dataset.name} under another name.`,
    { details: { host: target.host, dataset: base.dataset } },
  );
}

/** The target's snapshot that a chain goes on from, or that it clones. */
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
