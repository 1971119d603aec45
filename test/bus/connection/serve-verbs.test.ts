import { expect, test } from 'vitest';
import { z } from 'zod';
import type { Bus } from '../../../lib/bus/connection/connect.ts';
import { request } from '../../../lib/bus/rpc/request.ts';
import { askInstances, serveVerb, type Verb, type VerbService } from '../../../lib/bus/rpc/serve-verbs.ts';
import { useBus } from '../../support/bus.ts';
import { useNatsServer } from '../../support/nats-server.ts';

const asked = z.strictObject({ n: z.number() });
const answered = z.object({ by: z.string(), n: z.number() });

/** What each endpoint answers tells which one it is. */
const verb = (name: string, by: string): Verb<typeof asked> => ({
  name,
  subject: `zfs.a.${name}`,
  request: asked,
  fromText: (text) => ({ n: Number(text) }),
  handle: async ({ n }) => ({ by, n }),
  each: async ({ n }) => ({ by: `${by} itself`, n }),
  from: { subject: `zfs.a.${name}.from.*`, handle: async ({ n }, host, subject) => ({ by, n, host, subject }) },
});

const server = useNatsServer();

const serveTwo = (bus: Bus, name: string, more: Partial<VerbService> = {}) =>
  ['one111', 'two222'].flatMap((instance) =>
    serveVerb({ bus, queue: 'q', instance, ...more }, verb(name, instance)).map(({ stats }) => stats),
  );

test('a verb is served for the service, for its instance, for other hosts and for siblings', async () => {
  const bus = await useBus(server().url);
  const stats = serveTwo(bus, 'usual');
  expect(stats.slice(0, 4).map(({ name, subject, queue }) => [name, subject, queue])).toEqual([
    ['usual', 'zfs.a.usual', 'q'],
    ['usual-one111', 'zfs.a.usual.one111', ''],
    ['usual-from', 'zfs.a.usual.from.*', 'q'],
    ['usual-each', 'zfs.a.usual.each', ''],
  ]);
  expect(['one111', 'two222']).toContain((await request(bus, 'zfs.a.usual', { n: 1 }, answered)).by);
  expect(await request(bus, 'zfs.a.usual.two222', { n: 2 }, answered)).toEqual({ by: 'two222', n: 2 });
  const subject = 'zfs.a.usual.from.b';
  expect(await request(bus, subject, { n: 3 }, z.looseObject({}))).toMatchObject({ n: 3, host: 'b', subject });
  const each = await askInstances(bus, 'zfs.a.usual', { n: 4 }, answered);
  expect(each.map(({ by }) => by).sort()).toEqual(['one111 itself', 'two222 itself']);
  await expect(request(bus, 'zfs.a.usual.two222', { n: 'x' }, answered)).rejects.toMatchObject({ code: 'BAD_REQUEST' });
});

test('a private service answers at its own subject and to siblings, and to no one else', async () => {
  const stats = serveTwo(await useBus(server().url), 'private', { isPrivate: true });
  expect(stats.map(({ name }) => name)).toEqual(['private-one111', 'private-each', 'private-two222', 'private-each']);
});

test('a verb of other hosts alone has no other endpoint', async () => {
  const bus = await useBus(server().url);
  const { from, ...own } = verb('theirs', 'x');
  const { handle: _, each: __, ...bare } = own;
  const served = serveVerb({ bus, queue: 'q' }, { ...bare, ...(from && { from }) });
  expect(served.map(({ stats }) => stats.name)).toEqual(['theirs-from']);
});
