import { readdirSync, readFileSync } from 'node:fs';

/** The resources that one party of a run used. */
export interface Usage {
  /** CPU time, user and system, in seconds. */
  readonly cpu: number;
  /** Peak memory, in bytes. */
  readonly rss: number;
}

/** The kernel counts CPU time in hundredths of a second (USER_HZ, proc(5)). */
const ticks = 100;

function read(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}

/** Fields of /proc/PID/stat after the command's name, which may contain spaces: [0] is the state, [1] the parent. */
const statOf = (pid: number | string): string[] =>
  read(`/proc/${pid}/stat`)
    .replace(/^.*\) /s, '')
    .split(' ');

const cpuOf = (pid: number): number => {
  const stat = statOf(pid);
  return (Number(stat[11] ?? 0) + Number(stat[12] ?? 0)) / ticks;
};
const rssOf = (pid: number): number => Number(/VmHWM:\s+(\d+) kB/.exec(read(`/proc/${pid}/status`))?.[1] ?? 0) * 1024;

const nameOf = (pid: number): string => read(`/proc/${pid}/comm`).trim();

/** All descendants of a process whose command's name matches. */
export function descendants(root: number, name: RegExp): number[] {
  const children = new Map<number, number[]>();
  for (const entry of readdirSync('/proc').filter((file) => /^\d+$/.test(file))) {
    const parent = Number(statOf(entry)[1] ?? 0);
    children.set(parent, [...(children.get(parent) ?? []), Number(entry)]);
  }
  const below = (pid: number): number[] => (children.get(pid) ?? []).flatMap((child) => [child, ...below(child)]);
  return below(root).filter((pid) => name.test(nameOf(pid)));
}

/** Samples processes while they run, since they may end at any time. A party is all processes of one key of `pids`. */
export function watch(parties: Record<string, () => number[]>, everyMs = 50): () => Record<string, Usage> {
  const before = new Map<number, number>();
  const seen = new Map<string, Map<number, Usage>>(Object.keys(parties).map((party) => [party, new Map()]));
  const sample = (): void => {
    for (const [party, pids] of Object.entries(parties)) {
      for (const pid of pids()) {
        const cpu = cpuOf(pid);
        if (cpu === 0 && rssOf(pid) === 0) continue;
        // a process that has just ended has no memory any more
        const most = Math.max(rssOf(pid), seen.get(party)?.get(pid)?.rss ?? 0);
        seen.get(party)?.set(pid, { cpu: cpu - (before.get(pid) ?? 0), rss: most });
      }
    }
  };
  for (const pids of Object.values(parties)) for (const pid of pids()) before.set(pid, cpuOf(pid));
  const timer = setInterval(sample, everyMs);
  return () => {
    clearInterval(timer);
    sample();
    return Object.fromEntries(
      [...seen].map(([party, usages]) => {
        const all = [...usages.values()];
        const cpu = all.reduce((sum, usage) => sum + usage.cpu, 0);
        return [party, { cpu, rss: Math.max(0, ...all.map((usage) => usage.rss)) }];
      }),
    );
  };
}
