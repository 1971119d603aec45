import { expect, test } from 'vitest';
import { subjects } from '../../../lib/bus/subjects.ts';
import { infoSchema } from '../../../schemas/host.ts';
import { useFleet } from '../../support/fleet.ts';
import { useNatsAccounts } from '../../support/nats-account.ts';

const natsUrl = useNatsAccounts();
const bwlimit = 500_000;
const each = 400_000;
/** What may have passed in that time at most: a little goes at once. */
const allowed = (seconds: number): number => bwlimit * (seconds + 0.2);

/** Two datasets of a package, which travel at once. */
async function useTree(limits: NodeJS.ProcessEnv = {}) {
  const fleet = await useFleet(natsUrl());
  const [source, target] = await Promise.all([fleet.host('smos-01'), fleet.host('smos-00')]);
  await Promise.all([source.zpool('create', 'pool'), target.zpool('create', 'pool')]);
  for (const name of ['pool/tree', 'pool/tree/x', 'pool/tree/y']) await source.zfs('create', name);
  for (const name of ['x', 'y']) await source.zfs('set', `zfs-sim:write=${each}`, `pool/tree/${name}`);
  await source.zfs('snapshot', '-r', 'pool/tree@1');
  await fleet.start('receiver', target, { ZPSEND_ALLOW: '*=pool', ...limits });
  await fleet.start('sender', source);
  return fleet;
}
const tree = { dataset: 'pool/tree', to: { host: 'smos-00' }, package: 'replication', parallel: 2 };

test('a job sends no faster than it was asked to, all its datasets together', async () => {
  const fleet = await useTree();
  const job = await fleet.send('smos-01', { ...tree, bwlimit });
  expect(job).toMatchObject({ state: 'done', done: 3 });
  expect(job.bytes).toBeGreaterThan(2 * each);
  expect(job.bytes).toBeLessThan(allowed(job.seconds));
});

test('all receives of a receiver together stay within its configured rate, which it logs', async () => {
  const fleet = await useTree({ ZPSEND_BWLIMIT: String(bwlimit) });
  const info = await fleet.ask(subjects.info('smos-00'), {}, infoSchema);
  expect(info.limits.bwlimit).toBe(bwlimit);
  const job = await fleet.send('smos-01', tree);
  expect(job).toMatchObject({ state: 'done', done: 3 });
  expect(job.bytes).toBeLessThan(allowed(job.seconds));
});
