import { z } from 'zod';

/** A fact about a machine, as it crosses the bus: 128 bits of a keyed hash, never the machine's own id. */
const hashedSchema = z.string().regex(/^[0-9a-f]{32}$/, 'not a hashed machine id: 32 hexadecimal digits');

/** What distinguishes machines. Each part is absent where the machine has none. */
export const machineSchema = z.strictObject({
  /** Of its machine id: stays the same over reboots. */
  id: hashedSchema.optional(),
  /** Of the boot of its kernel: cloned machines with one machine id differ in it. */
  boot: hashedSchema.optional(),
});

/** The value of a key `<host>` in the bucket `zfs-hosts`: which machine has that name. What another release adds is ignored. */
export const hostRecordSchema = z.strictObject({
  machine: hashedSchema,
  /** Where the machine's own id comes from: `/etc/machine-id`, or a setting. */
  source: z.string().max(256),
  /** When the machine took the name, by its own clock (ISO 8601). */
  since: z.string().max(64),
});

export type Machine = z.infer<typeof machineSchema>;
export type HostRecord = z.infer<typeof hostRecordSchema>;

/** `unknown`: the two have no kind of fact in common. */
export type Likeness = 'same' | 'other' | 'unknown';

/** Are both one machine? One fact that differs is proof that they are two. */
export function compareMachines(one: Machine, two: Machine): Likeness {
  const pairs = [
    [one.id, two.id],
    [one.boot, two.boot],
  ].filter(([a, b]) => a !== undefined && b !== undefined);
  if (pairs.some(([a, b]) => a !== b)) return 'other';
  return pairs.length > 0 ? 'same' : 'unknown';
}

/** For people: as much of its id as distinguishes the machines of a fleet, and the boot where `other` has the same id. */
export const shortMachine = ({ id, boot }: Machine, other: Machine = {}): string =>
  [id?.slice(0, 8) ?? 'without an id', ...(id === other.id && boot ? [`(boot ${boot.slice(0, 8)})`] : [])].join(' ');
