import { execa } from 'execa';
import { z } from 'zod';

const onceSchema = z.strictObject({
  datasets: z.number(),
  steps: z.number(),
  seconds: z.number(),
  /** Peak memory of the process, both listings included, in MB. */
  rss: z.number(),
});

/** The planner with 100 snapshots in each dataset, for an empty target and for one that has half of them. */
export interface PlanningRow extends z.infer<typeof onceSchema> {
  readonly target: 'empty' | 'half';
}

/** Plans for a quarter, a half and all of `datasets`, to show the growth: each in a separate process. */
export async function measurePlanning(datasets: number): Promise<PlanningRow[]> {
  const rows: PlanningRow[] = [];
  for (const target of ['empty', 'half'] as const) {
    for (const count of [datasets / 4, datasets / 2, datasets]) {
      const once = new URL('plan-once.ts', import.meta.url).pathname;
      const { stdout } = await execa(process.execPath, [once, `${count}`, target]);
      rows.push({ target, ...onceSchema.parse(JSON.parse(stdout)) });
    }
  }
  return rows;
}
