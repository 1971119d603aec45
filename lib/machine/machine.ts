import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { HostRecord, Machine } from '../../schemas/machine.ts';
import { timing } from '../time/timing.ts';
import { derive } from './derive.ts';
import { bootId, type MachineFacts, ownId } from './sources.ts';

/** The machine that this process runs on. */
export interface OwnMachine {
  readonly machine: Machine;
  /** Where its id comes from, for people; undefined where it has none. */
  readonly source: string | undefined;
}

/** Far more than an id takes, in milliseconds and bytes. */
const mostBytes = 64 * 1024;

const here: MachineFacts = {
  platform: process.platform,
  file(path) {
    try {
      return readFileSync(path, 'latin1').slice(0, mostBytes);
    } catch {
      return undefined;
    }
  },
  command(program, ...argv) {
    try {
      return execFileSync(program, argv, {
        encoding: 'latin1',
        timeout: timing.machine.commandMs,
        maxBuffer: mostBytes,
        stdio: ['ignore', 'pipe', 'ignore'],
      });
    } catch {
      return undefined;
    }
  },
};

/**
 * The identity of this machine, hashed.
 * @param machineId what the settings say in place of the machine's own id
 */
export function ownMachine(machineId: string | undefined, facts: MachineFacts = here): OwnMachine {
  const own = machineId === undefined ? ownId(facts) : { id: machineId, source: 'machineId in the settings' };
  const boot = bootId(facts);
  return {
    machine: { ...(own && { id: derive(own.id) }), ...(boot !== undefined && { boot: derive(boot) }) },
    source: own?.source,
  };
}

/** With what a machine takes a host name now; undefined for one without an id. */
export const recordOf = ({ machine: { id }, source = '' }: OwnMachine): HostRecord | undefined =>
  id === undefined ? undefined : { machine: id, source, since: new Date().toISOString() };
