import { z } from 'zod';

/** A fact about a machine, as it crosses the bus: 128 bits of a keyed hash, never the machine's own id. */
const hashedSchema = z.string().regex(/^[0-9a-f]{32}$/, 'not a hashed machine id: 32 hexadecimal digits');

/** The ids that distinguish machines. Each is absent if the machine has none. */
export const machineSchema = z.strictObject({
  /** The hash of its machine id, which survives reboots. */
  id: hashedSchema.optional(),
  /** The hash of its kernel's boot id, which differs between cloned machines with one machine id. */
  boot: hashedSchema.optional(),
});

/** The value of a key `<host>` in the bucket `zfs-hosts`: the machine that has the name. Fields of other releases are ignored. */
export const hostRecordSchema = z.strictObject({
  machine: hashedSchema,
  /** The source of the machine's id: `/etc/machine-id`, or a setting. */
  source: z.string().max(256),
  /** When the machine registered the name, by its clock (ISO 8601). */
  since: z.string().max(64),
});

export type Machine = z.infer<typeof machineSchema>;
export type HostRecord = z.infer<typeof hostRecordSchema>;

/** `unknown`: the two have no common kind of id. */
export type Likeness = 'same' | 'other' | 'unknown';

/** Are both the same machine? One differing id proves that they are not. */
export function compareMachines(one: Machine, two: Machine): Likeness {
  const pairs = [
    [one.id, two.id],
    [one.boot, two.boot],
  ].filter(([a, b]) => a !== undefined && b !== undefined);
  if (pairs.some(([a, b]) => a !== b)) return 'other';
  return pairs.length > 0 ? 'same' : 'unknown';
}

/** A short id for messages; with the boot id if `other` has the same machine id. */
export const shortMachine = ({ id, boot }: Machine, other: Machine = {}): string =>
  [id?.slice(0, 8) ?? 'without an id', ...(id === other.id && boot ? [`(boot ${boot.slice(0, 8)})`] : [])].join(' ');
