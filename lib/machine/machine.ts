import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { HostRecord, Machine } from '../../schemas/machine.ts';
import { timing } from '../time/timing.ts';
import { derive } from './derive.ts';
import { bootId, type MachineFacts, ownId } from './sources.ts';

/** The machine that this process runs on. */
export interface OwnMachine {
  readonly machine: Machine;
  /** The source of its id, for messages; undefined without an id. */
  readonly source: string | undefined;
}

/** Limit of a file or output, in bytes; an id is far shorter. */
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
 * @param machineId from the settings; replaces the id of the machine
 */
export function ownMachine(machineId: string | undefined, facts: MachineFacts = here): OwnMachine {
  const own = machineId === undefined ? ownId(facts) : { id: machineId, source: 'machineId in the settings' };
  const boot = bootId(facts);
  return {
    machine: { ...(own && { id: derive(own.id) }), ...(boot !== undefined && { boot: derive(boot) }) },
    source: own?.source,
  };
}

/** The record with which this machine claims a host name; undefined without an id. */
export const recordOf = ({ machine: { id }, source = '' }: OwnMachine): HostRecord | undefined =>
  id === undefined ? undefined : { machine: id, source, since: new Date().toISOString() };
