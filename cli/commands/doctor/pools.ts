import type { Pool } from '../../../schemas/host.ts';
import type { Check } from '../../../schemas/output.ts';
import { bytes } from '../../output/format.ts';

/** From here on ZFS slows down, and a receive soon ends for want of room. */
const fullAt = 0.95;

/** What `doctor` says of this host's pools: those that are well in one line, each other one in a line of its own. */
export function checkPools(pools: readonly Pool[]): Check[] {
  if (pools.length === 0)
    return [{ what: 'pools', result: 'note', found: 'none', remedy: 'create or import one (zpool)' }];
  const judged = pools.map((pool) => ({ pool, trouble: troubleOf(pool) }));
  const well = judged.filter(({ trouble }) => !trouble).map(({ pool }) => wordsOf(pool));
  return [
    ...(well.length > 0 ? [{ what: 'pools', result: 'good' as const, found: well.join(', ') }] : []),
    ...judged.flatMap(({ trouble }) => (trouble ? [{ what: 'pools', ...trouble }] : [])),
  ];
}

const wordsOf = ({ name, health, free }: Pool): string => `${name} ${health} ${bytes(free)} free`;

function troubleOf(pool: Pool): Omit<Check, 'what'> | undefined {
  const { name, health, readOnly, size, allocated, free } = pool;
  const status = `look at: zpool status ${name}`;
  if (health === 'SUSPENDED') {
    const found = `pool ${name} is suspended: it has lost its devices, and zfs commands on it fail or hang`;
    return { result: 'bad', found, remedy: `connect them, then: zpool clear ${name}` };
  }
  if (health !== 'ONLINE' && health !== 'DEGRADED') return { result: 'bad', found: wordsOf(pool), remedy: status };
  if (readOnly) {
    const found = `pool ${name} is imported read-only: its snapshots can be sent, and nothing can be received into it`;
    return { result: 'bad', found, remedy: `to receive there: zpool export ${name}, then zpool import ${name}` };
  }
  if (health === 'DEGRADED') return { result: 'note', found: wordsOf(pool), remedy: status };
  if (size > 0 && allocated / size > fullAt) {
    const found = `pool ${name} is ${Math.floor((100 * allocated) / size)} % full, ${bytes(free)} free`;
    return { result: 'note', found, remedy: 'destroy what is not needed, or add devices (zpool add)' };
  }
  return undefined;
}
