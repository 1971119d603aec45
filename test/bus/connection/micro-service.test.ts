import { expect, test } from 'vitest';
import { z } from 'zod';
import { announce, type ServiceIdentity } from '../../../lib/bus/rpc/micro-service.ts';
import { gather, request } from '../../../lib/bus/rpc/request.ts';
import { serve } from '../../../lib/bus/rpc/serve.ts';
import { ZpsendError } from '../../../schemas/errors.ts';
import { useBus } from '../../support/bus.ts';
import { useNatsServer } from '../../support/nats-server.ts';

const server = useNatsServer({});

// ADR-32, "Discovery and Status"
const name = z.string().regex(/^[A-Za-z0-9_-]+$/);
const about = {
  name,
  id: z.string().min(1),
  version: z.string().regex(/^\d+\.\d+\.\d+/),
  metadata: z.record(z.string(), z.string()),
};
const endpoint = { name, subject: z.string().min(1), queue_group: z.string() };
const nanoseconds = z.number().int().nonnegative();
const pingSchema = z.strictObject({ type: z.literal('io.nats.micro.v1.ping_response'), ...about });
const infoSchema = z.strictObject({
  type: z.literal('io.nats.micro.v1.info_response'),
  ...about,
  description: z.string(),
  endpoints: z.array(z.strictObject({ ...endpoint, metadata: z.record(z.string(), z.string()) })),
});
const statsSchema = z.strictObject({
  type: z.literal('io.nats.micro.v1.stats_response'),
  ...about,
  started: z.iso.datetime(),
  endpoints: z.array(
    z.strictObject({
      ...endpoint,
      num_requests: z.number().int(),
      num_errors: z.number().int(),
      last_error: z.string(),
      processing_time: nanoseconds,
      average_processing_time: nanoseconds,
    }),
  ),
});

const identity = (id: string): ServiceIdentity => ({
  name: 'zpsend-sender',
  id,
  version: '1.2.3',
  description: 'Plans and sends',
  metadata: { host: 'smos-01' },
});

/** A service of one endpoint that fails on the body "fail". */
async function start(id: string) {
  const bus = await useBus(server().url);
  const served = serve(bus, {
    name: 'plan',
    subject: `zfs.${id}.plan`,
    queue: 'sender',
    request: z.strictObject({ fail: z.enum(['BUSY', 'NO_SUCH_DATASET']).optional() }),
    handle: async ({ fail }) => {
      if (fail) throw new ZpsendError(fail, 'later');
      return { ok: true };
    },
  });
  const silence = announce(bus, identity(id), [served]);
  await bus.nc.flush();
  return { bus, silence };
}

test.each(['', '.zpsend-sender', '.zpsend-sender.one'])(
  'a service answers $SRV.*%s in the shapes of ADR-32',
  async (scope) => {
    const { bus } = await start('one');
    const common = { name: 'zpsend-sender', id: 'one', version: '1.2.3', metadata: { host: 'smos-01' } };
    const plan = { name: 'plan', subject: 'zfs.one.plan', queue_group: 'sender' };
    expect(await request(bus, `$SRV.PING${scope}`, {}, pingSchema)).toMatchObject(common);
    expect(await request(bus, `$SRV.INFO${scope}`, {}, infoSchema)).toMatchObject({ ...common, endpoints: [plan] });
    expect(await request(bus, `$SRV.STATS${scope}`, {}, statsSchema)).toMatchObject({
      ...common,
      endpoints: [{ ...plan, num_requests: 0, num_errors: 0, last_error: '', average_processing_time: 0 }],
    });
  },
);

test('its statistics count requests and errors, and have the last error; an absent thing is an answer', async () => {
  const { bus } = await start('two');
  await request(bus, 'zfs.two.plan', {}, z.json());
  for (const fail of ['BUSY', 'NO_SUCH_DATASET'])
    await request(bus, 'zfs.two.plan', { fail }, z.json()).catch(() => {});
  const { endpoints } = await request(bus, '$SRV.STATS.zpsend-sender.two', {}, statsSchema);
  expect(endpoints).toMatchObject([{ num_requests: 3, num_errors: 1, last_error: 'BUSY: later' }]);
  expect(endpoints[0]?.processing_time).toBeGreaterThan(0);
});

test('a PING finds every instance, an id only that one, and a stopped service none', async () => {
  const [one, two] = [await start('one'), await start('two')];
  const found = async (subject: string) =>
    (await gather(one.bus, subject, {}, pingSchema, 300)).map(({ id }) => id).sort();
  expect(await found('$SRV.PING')).toEqual(['one', 'two']);
  expect(await found('$SRV.PING.zpsend-sender')).toEqual(['one', 'two']);
  expect(await found('$SRV.PING.zpsend-sender.two')).toEqual(['two']);
  two.silence();
  await two.bus.nc.flush();
  expect(await found('$SRV.PING')).toEqual(['one']);
});
