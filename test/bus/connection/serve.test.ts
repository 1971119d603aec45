import { AckPolicy, jetstream, jetstreamManager } from '@nats-io/jetstream';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import type { Bus } from '../../../lib/bus/connection/connect.ts';
import { request } from '../../../lib/bus/rpc/request.ts';
import { type Endpoint, isAnswerable, serve } from '../../../lib/bus/rpc/serve.ts';
import { errorReplySchema, ZpsendError } from '../../../schemas/errors.ts';
import { datasetSchema } from '../../../schemas/names.ts';
import { useBus } from '../../support/bus.ts';
import { mentions } from '../../support/mentions.ts';
import { useNatsServer } from '../../support/nats-server.ts';

const server = useNatsServer({ jetstream: true, config: 'max_payload: 524288' });
const connected = () => useBus(server().url);
const listing = z.strictObject({ dataset: datasetSchema.optional() });

/** Asks with a raw body, as any NATS client may. */
async function ask(bus: Bus, subject: string, body: string | Uint8Array) {
  const message = await bus.nc.request(subject, body, { timeout: 5000 });
  const { headers } = message;
  const error = headers?.get('Nats-Service-Error') || undefined;
  return { body: message.json(), error, status: headers?.get('Nats-Service-Error-Code') || undefined };
}

const echo = (subject: string): Endpoint<typeof listing> => ({
  name: 'echo',
  subject,
  request: listing,
  fromText: (dataset) => ({ dataset }),
  handle: async ({ dataset }) => {
    if (dataset === 'tank/throws') throw new Error('disk on fire');
    if (dataset === 'tank/odd') return Promise.reject('a string');
    if (dataset === 'tank/coded') throw new ZpsendError('LOCKED', 'locked\nby: another', { transfer: 'abc123' });
    if (dataset === 'tank/big') return { text: 'x'.repeat(600_000) };
    return { dataset: dataset ?? null };
  },
});

describe('an endpoint', () => {
  test.each([
    ['', null],
    ['tank/a b:c', 'tank/a b:c'],
    ['tank/a\n', 'tank/a'],
    ['{"dataset":"tank/a"}', 'tank/a'],
    ['{}', null],
  ])('takes %j', async (body, dataset) => {
    const bus = await connected();
    serve(bus, echo('zfs.e.x'));
    expect(await ask(bus, 'zfs.e.x', body)).toEqual({ body: { dataset }, error: undefined, status: undefined });
  });

  test.each<[string, string | Uint8Array]>([
    ['malformed JSON', '{"dataset":'],
    ['a wrong type', '{"dataset":1}'],
    ['an unknown field', '{"dataset":"tank","force":true}'],
    ['a list', '["tank"]'],
    ['invalid UTF-8', Uint8Array.from([0x74, 0xff, 0xfe])],
    ['a huge body', 'x'.repeat(400_000)],
    ['a name in the form of an option', '-rf'],
    ['a name with a command', 'tank;reboot'],
    ['a name with a substitution', '$(reboot)'],
    ['a name with a newline', 'tank\n/etc'],
    ['a name with NUL', 'tank\0'],
    ['a snapshot for a dataset', 'tank@a'],
    ['a name of 300 characters', 't'.repeat(300)],
    ['a name that climbs', 'tank/../other'],
  ])('refuses %s with code and headers, and serves the next', async (_what, body) => {
    const bus = await connected();
    const { stats } = serve(bus, echo('zfs.e.x'));
    const refused = await ask(bus, 'zfs.e.x', body);
    const { error } = errorReplySchema.parse(refused.body);
    expect(error).toMatchObject({ code: 'BAD_REQUEST', retryable: false });
    expect(refused.error).toMatch(/^BAD_REQUEST: ./);
    expect(refused.status).toBe('400');
    expect((await ask(bus, 'zfs.e.x', 'tank')).body).toEqual({ dataset: 'tank' });
    expect(stats).toMatchObject({ requests: 2, errors: 1, lastError: refused.error });
  });

  test.each([
    ['tank/throws', { code: 'INTERNAL', message: 'disk on fire', retryable: false }, '500', 'INTERNAL: disk on fire'],
    ['tank/odd', { code: 'INTERNAL', message: 'a string', retryable: false }, '500', 'INTERNAL: a string'],
    [
      'tank/coded',
      { code: 'LOCKED', message: 'locked\nby: another', retryable: true, details: { transfer: 'abc123' } },
      '423',
      'LOCKED: locked by: another',
    ],
  ])('whose handler fails on %s answers with that, and serves the next', async (dataset, error, status, headline) => {
    const bus = await connected();
    serve(bus, echo('zfs.e.x'));
    expect(await ask(bus, 'zfs.e.x', dataset)).toEqual({ body: { error }, error: headline, status });
    expect((await ask(bus, 'zfs.e.x', 'tank')).body).toEqual({ dataset: 'tank' });
  });

  test('whose reply is too large for the server answers with that', async () => {
    const bus = await connected();
    serve(bus, echo('zfs.e.x'));
    const { body } = await ask(bus, 'zfs.e.x', 'tank/big');
    expect(errorReplySchema.parse(body).error).toMatchObject({
      code: 'INTERNAL',
      message: mentions('max_payload'),
    });
  });

  test('takes a request that wants no answer', async () => {
    const bus = await connected();
    const { stats } = serve(bus, echo('zfs.e.x'));
    bus.nc.publish('zfs.e.x', 'tank/throws');
    bus.nc.publish('zfs.e.x', 'tank');
    await expect.poll(() => stats.requests).toBe(2);
    expect((await ask(bus, 'zfs.e.x', 'tank')).body).toEqual({ dataset: 'tank' });
  });

  test('answers many at once, none waiting for another', async () => {
    const bus = await connected();
    const gate = Promise.withResolvers<void>();
    let waiting = 0;
    serve(bus, {
      name: 'slow',
      subject: 'zfs.slow.x',
      request: listing,
      handle: async () => {
        waiting += 1;
        if (waiting === 3) gate.resolve();
        await gate.promise;
        return { waiting };
      },
    });
    const asked = [1, 2, 3].map(() => request(bus, 'zfs.slow.x', {}, z.json()));
    expect(await Promise.all(asked)).toEqual([{ waiting: 3 }, { waiting: 3 }, { waiting: 3 }]);
  });

  test('with a limit handles so many at once, lets others wait, and answers BUSY when too many do', async () => {
    const bus = await connected();
    const gate = Promise.withResolvers<void>();
    let running = 0;
    let most = 0;
    serve(bus, {
      name: 'costly',
      subject: 'zfs.costly.x',
      atOnce: 2,
      request: listing,
      handle: async () => {
        running += 1;
        most = Math.max(most, running);
        await gate.promise;
        running -= 1;
        return { ok: true };
      },
    });
    const asked = Array.from({ length: 100 }, () =>
      request(bus, 'zfs.costly.x', {}, z.json()).catch(({ code }) => code),
    );
    await Promise.race(asked);
    gate.resolve();
    const answers = await Promise.all(asked);
    expect(most).toBe(2);
    expect(answers.filter((answer) => answer === 'BUSY')).toHaveLength(100 - 2 - 64);
    expect(answers.filter((answer) => answer !== 'BUSY')).toEqual(Array.from({ length: 66 }, () => ({ ok: true })));
  });

  test('that is stopped takes nothing more, and answers running requests', async () => {
    const bus = await connected();
    const gate = Promise.withResolvers<object>();
    const served = serve(bus, { name: 'x', subject: 'zfs.stop.x', request: listing, handle: () => gate.promise });
    const under = request(bus, 'zfs.stop.x', {}, z.json());
    await expect.poll(() => served.stats.requests).toBe(1);
    served.stop();
    gate.resolve({ late: true });
    expect(await under).toEqual({ late: true });
    await expect(request(bus, 'zfs.stop.x', {}, z.json())).rejects.toMatchObject({ code: 'UNREACHABLE' });
  });
});

test('of the instances of one queue group exactly one answers each request', async () => {
  const [one, two, asker] = await Promise.all([connected(), connected(), connected()]);
  const served = [one, two].map((bus) => serve(bus, { ...echo('zfs.q.x'), queue: 'receiver' }));
  await Promise.all([one.nc.flush(), two.nc.flush()]);
  await Promise.all(Array.from({ length: 40 }, () => request(asker, 'zfs.q.x', {}, z.json())));
  const counts = served.map(({ stats }) => stats.requests);
  expect(counts.reduce((sum, count) => sum + count)).toBe(40);
  expect(Math.min(...counts), 'and they share the work').toBeGreaterThan(0);
  served[0]?.stop();
  await one.nc.flush();
  expect(await request(asker, 'zfs.q.x', {}, z.json()), 'one may go at any time').toEqual({ dataset: null });
});

describe('a reply goes to inboxes alone', () => {
  test.each([
    '$KV.zfs-locks.x',
    '$JS.API.STREAM.DELETE.x',
    'zfs.e.other',
    'zfs',
    'zfs-data.a.b.c',
    'zfs-credit.a.b.c',
    'zfs-locks',
  ])('a request that names %s for it is not answered, and not carried out', async (reply) => {
    const bus = await connected();
    const served = serve(bus, echo('zfs.e.x'));
    const received: string[] = [];
    bus.nc.subscribe(reply, { callback: (_, { subject }) => void received.push(subject) });
    bus.nc.publish('zfs.e.x', 'tank/coded', { reply });
    bus.nc.publish('zfs.e.x', 'tank/a', { reply });
    expect((await ask(bus, 'zfs.e.x', 'tank/a')).body).toEqual({ dataset: 'tank/a' });
    await bus.nc.flush();
    expect(received).toEqual([]);
    expect(served.stats).toMatchObject({ requests: 3, errors: 2, lastError: mentions(reply) });
  });

  test.each(['_INBOX.x', '_R_.x', '_INBOX.smos-00.a', undefined])('%s is one', (reply) => {
    expect(isAnswerable(reply)).toBe(true);
  });
});

test.each<[string, string]>([
  ['the subject itself', 'aimed.one'],
  ['a subject of which any last word is served', 'aimed.*'],
])('nothing is done for what JetStream brings out of a stream: %s', async (_, subject) => {
  const bus = await connected();
  let asked = 0;
  const served = serve(bus, {
    ...echo(subject),
    handle: async () => {
      asked += 1;
      return {};
    },
  });
  const aim = subject.replace('*', 'two');
  const name = `AIMED_${aim.replace('.', '_')}`;
  const from = `from.${aim}`;
  const manager = await jetstreamManager(bus.nc);
  await manager.streams.add({ name, subjects: [from], allow_direct: true });
  await jetstream(bus.nc).publish(from, '{}');
  bus.nc.publish(`$JS.API.DIRECT.GET.${name}`, JSON.stringify({ last_by_subj: from }), { reply: aim });
  await expect.poll(() => served.stats.errors).toBe(1);
  // the server waits for a subscriber of that very subject
  if (aim === subject) {
    await manager.consumers.add(name, { deliver_subject: aim, ack_policy: AckPolicy.None });
    await expect.poll(() => served.stats.errors).toBe(2);
  }
  expect(asked).toBe(0);
  await request(bus, aim, {}, z.strictObject({}));
  expect(asked).toBe(1);
  await manager.streams.delete(name);
});
