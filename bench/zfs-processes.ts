import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import type { SimHost } from '../test/support/sim-host.ts';
import { median } from './table.ts';

/** A line that the simulator logs of each process: when it began, in milliseconds since the epoch, and how long it took. */
const ranSchema = z.object({ argv: z.array(z.string()), at: z.number(), ms: z.number() });

export type Ran = z.infer<typeof ranSchema>;

/** Every `zfs` that has ended on a simulated host, in the order of their ends. */
export async function processesOf(host: SimHost): Promise<Ran[]> {
  const text = await readFile(host.env.ZFS_SIM_LOG ?? '', 'utf8');
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => ranSchema.parse(JSON.parse(line)));
}

/** The clock that `at` is of, in milliseconds. */
export const epochMs = (): number => performance.timeOrigin + performance.now();

const samples = 20;

/** What a process takes besides what it logs, to be started and to be gone, in milliseconds: its caller waits for that too. */
export async function unlogged(host: SimHost): Promise<number> {
  const over: number[] = [];
  for (let sample = 0; sample < samples; sample += 1) {
    const before = (await processesOf(host)).length;
    const began = performance.now();
    await host.zfs('list', '-H');
    const wall = performance.now() - began;
    const [ran] = (await processesOf(host)).slice(before);
    over.push(wall - (ran?.ms ?? wall));
  }
  return median(over);
}

/** Milliseconds between two moments in which any of these ran; `more` is what each takes besides. */
export function covered(ran: readonly Ran[], more: number, from: number, to: number): number {
  let until = from;
  let sum = 0;
  for (const { at, ms } of ran.toSorted((a, b) => a.at - b.at)) {
    const begin = Math.max(until, at - more);
    const end = Math.min(to, at + ms);
    if (end <= begin) continue;
    sum += end - begin;
    until = end;
  }
  return sum;
}
