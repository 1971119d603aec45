import { execa } from 'execa';
import { z } from 'zod';

const onceSchema = z.strictObject({
  datasets: z.number(),
  steps: z.number(),
  seconds: z.number(),
  /** Peak memory of the process, both listings included, in MB. */
  rss: z.number(),
});

/** The planner on datasets of 100 snapshots each, into an empty target and into one that has a part. */
export interface PlanningRow extends z.infer<typeof onceSchema> {
  readonly target: 'empty' | 'half';
}

/** Plans for a quarter, a half and all of `datasets`, so that growth shows: each in a process of its own. */
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
