import { expect, test } from 'vitest';
import { request } from '../../../lib/bus/rpc/request.ts';
import { subjects } from '../../../lib/bus/subjects.ts';
import type { Zfs } from '../../../lib/zfs/zfs.ts';
import { infoSchema } from '../../../schemas/host.ts';
import { serveHost } from '../../../services/host/host-api.ts';
import { useBus } from '../../support/bus.ts';
import { useNatsAccounts } from '../../support/nats-account.ts';

const natsUrl = useNatsAccounts();

test('hundreds of simultaneous info requests are all answered, with a few listings of the pools', async () => {
  const [bus, asker] = [await useBus(natsUrl()), await useBus(natsUrl())];
  let listings = 0;
  const pools = async () => {
    listings += 1;
    return [];
  };
  const zfs: Partial<Zfs> = { version: async () => 'zfs-2.3.2', pools };
  const self = { service: 'receiver' as const, instance: 'instance01', pid: 1, version: '1', machine: {} };
  const served = serveHost({ host: 'smos-00', bus, zfs: zfs as Zfs, self, limits: () => ({}) }, false);
  await bus.nc.flush();
  const ask = () => request(asker, subjects.info('smos-00'), {}, infoSchema, 20_000);
  const answers = await Promise.all(Array.from({ length: 300 }, ask));
  for (const answer of answers) expect(answer).toMatchObject({ host: 'smos-00', zfs: 'zfs-2.3.2' });
  expect(listings).toBeLessThan(10);
  for (const endpoint of served) endpoint.stop();
});
