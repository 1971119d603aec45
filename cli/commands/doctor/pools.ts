import type { Pool } from '../../../schemas/host.ts';
import type { Check } from '../../../schemas/output.ts';
import { bytes } from '../../output/format.ts';

/** Share of a pool. Above it ZFS slows down, and receives soon fail. */
const fullAt = 0.95;

/** The pools of this host: healthy ones in one line, each other one in a separate line. */
export function checkPools(pools: readonly Pool[]): Check[] {
  if (pools.length === 0)
    return [
      { what: 'pools', result: 'note', found: 'no pool', remedy: 'create or import one (zpool create, zpool import)' },
    ];
  const judged = pools.map((pool) => ({ pool, trouble: troubleOf(pool) }));
  const healthy = judged.filter(({ trouble }) => !trouble).map(({ pool }) => wordsOf(pool));
  return [
    ...(healthy.length > 0 ? [{ what: 'pools', result: 'good' as const, found: healthy.join(', ') }] : []),
    ...judged.flatMap(({ trouble }) => (trouble ? [{ what: 'pools', ...trouble }] : [])),
  ];
}

const wordsOf = ({ name, health, free }: Pool): string => `${name} ${health} ${bytes(free)} free`;

function troubleOf(pool: Pool): Omit<Check, 'what'> | undefined {
  const { name, health, readOnly, size, allocated, free } = pool;
  const status = `run zpool status ${name}`;
  if (health === 'SUSPENDED') {
    const found = `pool ${name} is suspended: it lost its devices, and zfs commands on it fail or hang`;
    return { result: 'bad', found, remedy: `reconnect them, then run zpool clear ${name}` };
  }
  if (health !== 'ONLINE' && health !== 'DEGRADED') return { result: 'bad', found: wordsOf(pool), remedy: status };
  if (readOnly) {
    const found = `pool ${name} is imported read-only: its snapshots can be sent, but nothing can be received into it`;
    return { result: 'bad', found, remedy: `to receive into it, run zpool export ${name}, then zpool import ${name}` };
  }
  if (health === 'DEGRADED') return { result: 'note', found: wordsOf(pool), remedy: status };
  if (size > 0 && allocated / size > fullAt) {
    const found = `pool ${name} is ${Math.floor((100 * allocated) / size)} % full, ${bytes(free)} free`;
    return { result: 'note', found, remedy: 'destroy snapshots or datasets, or add devices (zpool add)' };
  }
  return undefined;
}
