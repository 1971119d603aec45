import { readdirSync, readFileSync } from 'node:fs';
import type { ServiceProcess } from '../support/service.ts';

const mib = 1024 ** 2;

export interface Sample {
  /** Bytes that the process holds in memory. */
  readonly rss: number;
  /** Files and sockets that it has open. */
  readonly files: number;
}

/** What a process holds; undefined once it has ended. */
export function sampleOf(pid: number): Sample | undefined {
  try {
    const pages = Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
    return { rss: pages * 1024, files: readdirSync(`/proc/${pid}/fd`).length };
  } catch {
    return undefined;
  }
}

export const shown = ({ rss, files }: Sample): string => `${Math.round(rss / mib)} MiB, ${files} files`;

const leastOf = (samples: readonly Sample[], of: keyof Sample): number => Math.min(...samples.map((one) => one[of]));
/** What running work uses, and a collector leaves. */
const slack = { rss: 64 * mib, files: 12 } as const;

/** A shorter run shows nothing. */
const fewest = 30;

/** In what the last third of a run never holds less than the middle one at its least: a leak. The first third warms up. */
export function growth(name: string, samples: readonly Sample[]): string[] {
  if (samples.length < fewest) return [];
  const third = Math.floor(samples.length / 3);
  const [middle, last] = [samples.slice(third, 2 * third), samples.slice(-third)];
  return (['rss', 'files'] as const)
    .filter((of) => leastOf(last, of) > leastOf(middle, of) + slack[of])
    .map((of) => `${name}: ${of} grew from ${leastOf(middle, of)} to ${leastOf(last, of)}`);
}

/** Lines of a log that are none: a service writes JSON alone, also when it fails. */
export const oddLines = ({ log }: ServiceProcess): string[] => log.filter((line) => !line.startsWith('{'));
