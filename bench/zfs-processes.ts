import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import type { SimHost } from '../test/support/sim-host.ts';
import { median } from './table.ts';

/** A line in the simulator's log of processes: start, in milliseconds since the epoch, and duration. */
const ranSchema = z.object({ argv: z.array(z.string()), at: z.number(), ms: z.number() });

export type Ran = z.infer<typeof ranSchema>;

/** All ended `zfs` processes of a simulated host, in the order of their ends. */
export async function processesOf(host: SimHost): Promise<Ran[]> {
  const text = await readFile(host.env.ZFS_SIM_LOG ?? '', 'utf8');
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => ranSchema.parse(JSON.parse(line)));
}

/** The clock of `at`, in milliseconds. */
export const epochMs = (): number => performance.timeOrigin + performance.now();

const samples = 20;

/** The time to start and end a process, which its log line does not include, in milliseconds. */
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

/** Milliseconds between two moments in which any of these processes ran; `more` is added to each. */
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
