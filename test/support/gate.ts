import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished } from 'vitest';
import type { SimHost } from './sim-host.ts';

const bin = fileURLToPath(new URL('gate-zfs', import.meta.url));

/** Stops the `zfs` of a service at one of its verbs, and lets it continue. */
export interface Gate {
  /** What the service is started with. */
  readonly env: NodeJS.ProcessEnv;
  shut(verb: string): Promise<void>;
  /** Resolves when a process waits there. */
  reached(verb: string): Promise<void>;
  open(verb: string): Promise<void>;
}

export async function useGate(host: SimHost): Promise<Gate> {
  const folder = await mkdtemp(join(tmpdir(), 'zpsend-gate-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return {
    env: { GATE: folder, PATH: [bin, host.env.PATH].join(delimiter) },
    shut: (verb) => writeFile(join(folder, `${verb}.shut`), ''),
    reached: (verb) => expect.poll(() => existsSync(join(folder, `${verb}.here`)), { timeout: 60_000 }).toBe(true),
    open: (verb) => rm(join(folder, `${verb}.shut`)),
  };
}
