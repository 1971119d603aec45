import type { Note } from '../../../schemas/plan.ts';
import type { DatasetPlans } from '../dataset-plan.ts';
import { isModified } from './evidence.ts';
import type { Draft } from './resolve.ts';

/** Notes which targets of increments were written to: `zfs receive` may refuse them, except for what a mount writes. */
export function withModified({ plans, items }: Draft, host: string): DatasetPlans {
  const written = new Map(
    items.map(({ dataset, existing }) => [dataset.name, existing && isModified(existing) ? existing.written : 0]),
  );
  const notes = plans.datasets.flatMap(({ sourceDataset, targetDataset, steps }): Note[] => {
    const bytes = written.get(sourceDataset) ?? 0;
    if (bytes === 0 || steps[0]?.from === undefined || steps[0].origin !== undefined) return [];
    const what = `${targetDataset} on ${host} was written to since its newest snapshot (${bytes} bytes)`;
    return [
      {
        kind: 'modified',
        dataset: targetDataset,
        message: `${what}, so zfs receive may refuse it as MODIFIED; then --conflict rollback discards the changes, and --conflict rotate keeps them under another name`,
      },
    ];
  });
  return notes.length > 0 ? { ...plans, notes: [...plans.notes, ...notes] } : plans;
}
