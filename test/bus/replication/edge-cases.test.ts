import { expect, test } from 'vitest';
import { useFleet } from '../../support/fleet.ts';
import { useNatsAccounts } from '../../support/nats-account.ts';

// what can be counted only where every zfs process leaves a line
const natsUrl = useNatsAccounts();

async function useTwoHosts() {
  const fleet = await useFleet(natsUrl());
  const hosts = await Promise.all([fleet.host('smos-01'), fleet.host('smos-00')]);
  const [source, target] = hosts;
  for (const host of hosts) await host.zpool('create', 'zones');
  await fleet.start('receiver', target, { ZPSEND_ALLOW: '*=zones' });
  await fleet.start('sender', source);
  /** Sends, and answers with the command lines that ran meanwhile on the source and on the target. */
  async function counted(request: object, steps: number): Promise<string[][][]> {
    const before = await Promise.all(hosts.map((host) => host.processes()));
    expect(await fleet.send('smos-01', { to: { host: 'smos-00' }, ...request })).toMatchObject({
      state: 'done',
      done: steps,
    });
    const after = await Promise.all(hosts.map((host) => host.processes()));
    return after.map((all, at) => all.slice(before[at]?.length).map(({ argv }) => argv.slice(1)));
  }
  return { source, counted };
}

test('edge case 18: a package of many datasets takes one listing on either side', async () => {
  const { source, counted } = await useTwoHosts();
  await source.zfs('create', 'zones/p');
  for (let at = 0; at < 8; at++) await source.zfs('create', `zones/p/${at}`);
  await source.zfs('snapshot', '-r', 'zones/p@a');
  await counted({ dataset: 'zones/p@a', package: 'replication' }, 9);
  await source.zfs('snapshot', '-r', 'zones/p@b');
  // listing named snapshots, as a receive does, costs the same however many there are
  const isListing = ([verb, ...rest]: string[]) => verb === 'list' && (rest.includes('-r') || rest.includes('-d'));
  for (const ran of await counted({ dataset: 'zones/p@b', package: 'replication' }, 9)) {
    expect(ran.filter(isListing)).toHaveLength(1);
  }
});

test('edge case 25: a step costs five zfs processes, beside what comes once for its chain', async () => {
  const { source, counted } = await useTwoHosts();
  const steps = 20;
  await source.zfs('create', 'zones/test');
  await source.zfs('zfs-sim-fill', 'zones/test', String(steps));
  const ran = (await counted({ dataset: 'zones/test' }, steps)).flat();
  expect(ran.length).toBeLessThanOrEqual(5 * steps + 12);
  expect(ran.flat()).not.toContain('-I');
});
