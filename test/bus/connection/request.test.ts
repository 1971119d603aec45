import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, onTestFinished, test } from 'vitest';
import { z } from 'zod';
import { onEvents, publishEvent } from '../../../lib/bus/events/events.ts';
import { gather, gatherAll, request, requestMany } from '../../../lib/bus/rpc/request.ts';
import { serve } from '../../../lib/bus/rpc/serve.ts';
import { subjects } from '../../../lib/bus/subjects.ts';
import { ZpsendError } from '../../../schemas/errors.ts';
import { rejection, useBus } from '../../support/bus.ts';
import { mentions } from '../../support/mentions.ts';
import { ownNatsServer, useNatsServer } from '../../support/nats-server.ts';

const server = useNatsServer({
  config: `
    authorization { users = [
      { user: all, password: pw },
      { user: few, password: pw, permissions: { publish: ["zfs.>", "_INBOX.>"], subscribe: ["_INBOX.>", "zfs.a.event.recv.*"] } }
    ] }`,
});
const url = (user: string) => server().url.replace('//', `//${user}:pw@`);
const useServer = async (config: string) => {
  const own = await ownNatsServer({ config });
  return own;
};
const useAll = () => useBus(url('all'));
const anything = z.json();
const nothing = z.strictObject({});

describe('one request', () => {
  test('gets the reply that its schema allows', async () => {
    const bus = await useAll();
    serve(bus, { name: 'x', subject: 'zfs.a.x', request: anything, handle: async (body) => ({ body }) });
    const reply = await request(bus, 'zfs.a.x', { name: 'tank/ü' }, z.strictObject({ body: anything }));
    expect(reply).toEqual({ body: { name: 'tank/ü' } });
  });

  test('without a subscriber is UNREACHABLE at once', async () => {
    const bus = await useAll();
    const error = await rejection(request(bus, 'zfs.absent.info', {}, anything, 30_000));
    expect(error).toMatchObject({
      code: 'UNREACHABLE',
      details: { subject: 'zfs.absent.info', reason: 'no-responders' },
    });
    expect(error.message).toEqual(mentions('zfs.absent.info'));
  });

  test('that is received and not answered is a TIMEOUT', async () => {
    const bus = await useAll();
    serve(bus, { name: 'x', subject: 'zfs.mute.x', request: anything, handle: async () => undefined });
    const error = await rejection(request(bus, 'zfs.mute.x', {}, anything, 200));
    expect(error).toMatchObject({ code: 'TIMEOUT', retryable: true });
    expect(error.message).toEqual(mentions('0.2 s'));
  });

  test('ends with its connection', async () => {
    const [bus, other] = [await useAll(), await useAll()];
    serve(other, { name: 'x', subject: 'zfs.mute.x', request: anything, handle: async () => undefined });
    await other.nc.flush();
    const asking = rejection(request(bus, 'zfs.mute.x', {}, anything, 30_000));
    const gathering = gatherAll(bus, 'zfs.mute.x', {}, anything, 30_000);
    await bus.nc.close();
    expect(await asking).toMatchObject({ code: 'UNREACHABLE', details: { reason: 'connection-lost' } });
    expect(await gathering).toMatchObject({ answers: [], clear: false });
  });

  test.each(['not json', '{"wrong":1}'])('answered with %j is an INTERNAL error', async (reply) => {
    const bus = await useAll();
    bus.nc.subscribe('zfs.odd.x', { callback: (_error, message) => void message.respond(reply) });
    const error = await rejection(request(bus, 'zfs.odd.x', {}, z.strictObject({ right: z.number() })));
    expect(error.code).toBe('INTERNAL');
  });

  test('over a closed connection is UNREACHABLE, for one reply and for many', async () => {
    const bus = await useAll();
    await bus.close();
    expect((await rejection(request(bus, 'zfs.a.x', {}, anything))).code).toBe('UNREACHABLE');
    expect((await rejection(requestMany(bus, 'zfs.a.x', {}, anything, 50))).code).toBe('UNREACHABLE');
    expect(await gather(bus, 'zfs.a.x', {}, anything, 50)).toEqual([]);
    // what would still fire now would end the process
    await sleep(100);
  });

  test('that may not be published fails, and the connection continues', async () => {
    const [few, all] = [await useBus(url('few')), await useAll()];
    serve(all, { name: 'x', subject: 'zfs.a.x', request: nothing, handle: async () => ({ ok: true }) });
    await all.nc.flush();
    expect((await rejection(request(few, 'secret.x', {}, anything, 500))).code).toBe('UNREACHABLE');
    expect(await request(few, 'zfs.a.x', {}, anything)).toEqual({ ok: true });
  });
});

describe('one request with many replies', () => {
  const part = z.strictObject({ n: z.number() });

  test('is ended by an empty one, and its parts keep their order', async () => {
    const bus = await useAll();
    serve(bus, {
      name: 'x',
      subject: 'zfs.many.x',
      request: nothing,
      async *handle() {
        for (let n = 0; n < 100; n += 1) yield { n };
      },
    });
    const replies = await requestMany(bus, 'zfs.many.x', {}, part);
    expect(replies.map(({ n }) => n)).toEqual(Array.from({ length: 100 }, (_, n) => n));
  });

  test('may have none', async () => {
    const bus = await useAll();
    serve(bus, { name: 'x', subject: 'zfs.none.x', request: nothing, async *handle() {} });
    expect(await requestMany(bus, 'zfs.none.x', {}, part)).toEqual([]);
  });

  test('fails as a whole when one of them is an error', async () => {
    const bus = await useAll();
    serve(bus, {
      name: 'x',
      subject: 'zfs.broken.x',
      request: nothing,
      async *handle() {
        yield { n: 1 };
        throw new ZpsendError('NO_SUCH_DATASET', 'tank/a is gone', { dataset: 'tank/a' });
      },
    });
    expect(await rejection(requestMany(bus, 'zfs.broken.x', {}, part))).toMatchObject({
      code: 'NO_SUCH_DATASET',
      message: 'tank/a is gone',
      details: { dataset: 'tank/a' },
    });
  });

  test('that stop before the end is a TIMEOUT', async () => {
    const bus = await useAll();
    bus.nc.subscribe('zfs.half.x', { callback: (_error, message) => void message.respond('{"n":1}') });
    expect((await rejection(requestMany(bus, 'zfs.half.x', {}, part, 200))).code).toBe('TIMEOUT');
  });

  test('without a subscriber is UNREACHABLE at once', async () => {
    const bus = await useAll();
    expect((await rejection(requestMany(bus, 'zfs.absent.x', {}, part, 30_000))).code).toBe('UNREACHABLE');
  });

  test('leaves no subscription behind', async () => {
    const bus = await useAll();
    const before = bus.nc.stats().inMsgs;
    bus.nc.subscribe('zfs.late.x', {
      callback: (_error, message) => {
        for (const body of ['{"n":1}', '', '{"n":2}']) message.respond(body);
      },
    });
    expect(await requestMany(bus, 'zfs.late.x', {}, part)).toEqual([{ n: 1 }]);
    await bus.nc.flush();
    expect(bus.nc.stats().inMsgs - before).toBeLessThanOrEqual(4);
  });
});

describe('an answer beyond its bounds', () => {
  const part = z.strictObject({ n: z.number(), fill: z.string().optional() });
  /** Answers with so many parts and no end, as fast as they are taken. */
  async function endless(subject: string, body: string): Promise<void> {
    const bus = await useAll();
    bus.nc.subscribe(subject, {
      callback: (_error, message) => {
        for (let n = 0; n < 200; n += 1) message.respond(body);
      },
    });
    await bus.nc.flush();
  }
  const wide = { messages: 1000, bytes: 2 ** 20, ms: 60_000 };

  test.each([
    ['messages', { messages: 10 }, 10],
    ['bytes', { bytes: 50 }, 50],
  ])('in %s is TOO_MUCH, and nothing beyond it is parsed', async (limit, bound, most) => {
    const bus = await useAll();
    await endless('zfs.flood.x', '{"n":1}');
    let parsed = 0;
    const counted = part.refine(() => ++parsed > 0);
    const asked = requestMany(bus, 'zfs.flood.x', {}, counted, 5000, undefined, { ...wide, ...bound });
    expect(await rejection(asked)).toMatchObject({ code: 'TOO_MUCH', retryable: false, details: { limit, most } });
    expect(parsed).toBeLessThanOrEqual(10);
  });

  test('in time is a TIMEOUT, however little each part keeps waiting', async () => {
    const [bus, slow] = [await useAll(), await useAll()];
    let isAsked = true;
    serve(slow, {
      name: 'x',
      subject: 'zfs.slow.x',
      request: nothing,
      async *handle() {
        for (let n = 0; isAsked; n += 1) {
          yield { n };
          // parts that come without end
          await sleep(20);
        }
      },
    });
    await slow.nc.flush();
    const asked = requestMany(bus, 'zfs.slow.x', {}, part, 5000, undefined, { ...wide, ms: 300 });
    const error = await rejection(asked);
    isAsked = false;
    expect(error).toMatchObject({ code: 'TIMEOUT', details: { limit: 'milliseconds', most: 300 } });
  });

  test('in one part is TOO_MUCH where the NATS server takes messages of any size', async () => {
    const large = useServer('max_payload: 16MB');
    const [bus, peer] = [await useBus((await large).url), await useBus((await large).url)];
    const body = JSON.stringify({ n: 1, fill: 'x'.repeat(5 * 2 ** 20) });
    peer.nc.subscribe('zfs.large.x', { callback: (_error, message) => void message.respond(body) });
    await peer.nc.flush();
    expect(await rejection(requestMany(bus, 'zfs.large.x', {}, part))).toMatchObject({ code: 'TOO_MUCH' });
    const tooLong = { n: 1, fill: 'x'.repeat(9 * 2 ** 20) };
    peer.nc.subscribe('zfs.long.x', { callback: (_error, message) => void message.respond(JSON.stringify(tooLong)) });
    await peer.nc.flush();
    expect(await rejection(request(bus, 'zfs.long.x', {}, part))).toMatchObject({ code: 'TOO_MUCH' });
  });

  test('of all instances is TOO_MUCH, and proves no instance absent', async () => {
    const bus = await useAll();
    await endless('zfs.crowd.x', '{"n":1}');
    const few = { ...wide, messages: 10 };
    expect(await rejection(gather(bus, 'zfs.crowd.x', {}, part, 1000, few))).toMatchObject({ code: 'TOO_MUCH' });
    expect(await gatherAll(bus, 'zfs.crowd.x', {}, part, 1000, few)).toMatchObject({ clear: false });
  });

  test('keeps no other work of this process waiting: one part is parsed in each turn', async () => {
    const [bus, peer] = [await useAll(), await useAll()];
    peer.nc.subscribe('zfs.turns.x', {
      callback: (_error, message) => {
        for (let n = 0; n < 100; n += 1) message.respond('{"n":1}');
        message.respond('');
      },
    });
    await peer.nc.flush();
    let turns = 0;
    let isOver = false;
    const watch = () => {
      turns += 1;
      if (!isOver) setImmediate(watch);
    };
    const seen = new Set<number>();
    const counted = part.refine(() => seen.add(turns));
    setImmediate(watch);
    await requestMany(bus, 'zfs.turns.x', {}, counted, 5000, undefined, wide);
    isOver = true;
    expect(seen.size).toBeGreaterThanOrEqual(95);
  });
});

describe('one request to every instance', () => {
  const answer = z.strictObject({ instance: z.string() });

  test('gathers what comes in time; an instance that errs is as good as absent', async () => {
    const [one, two, three, asker] = await Promise.all([useAll(), useAll(), useAll(), useAll()]);
    for (const [bus, instance] of [
      [one, 'one'],
      [two, 'two'],
    ] as const) {
      serve(bus, { name: 'x', subject: 'zfs.all.x', request: nothing, handle: async () => ({ instance }) });
    }
    serve(three, {
      name: 'x',
      subject: 'zfs.all.x',
      request: nothing,
      handle: () => Promise.reject(new Error('sick')),
    });
    await Promise.all([one, two, three].map((bus) => bus.nc.flush()));
    const answers = await gather(asker, 'zfs.all.x', {}, answer, 500);
    expect(answers.map(({ instance }) => instance).sort()).toEqual(['one', 'two']);
    expect(await gatherAll(asker, 'zfs.all.x', {}, answer, 500)).toMatchObject({ clear: false });
  });

  test('reports whether all messages were answers', async () => {
    const [one, asker] = await Promise.all([useAll(), useAll()]);
    serve(one, { name: 'y', subject: 'zfs.all.y', request: nothing, handle: async () => ({ instance: 'one' }) });
    await one.nc.flush();
    const asked = gatherAll(asker, 'zfs.all.y', {}, answer, 300);
    expect(await asked).toMatchObject({ answers: [{ instance: 'one' }], clear: true });
    await asker.nc.close();
    expect(await gatherAll(asker, 'zfs.all.y', {}, answer, 300)).toMatchObject({ answers: [], clear: false });
  });

  test('finds that none answers without waiting', async () => {
    const bus = await useAll();
    const waited = await Promise.race([gather(bus, 'zfs.absent.x', {}, answer, 20_000), sleep(10_000, 'waited')]);
    expect(waited).toEqual([]);
  });
});

describe('events', () => {
  const body = z.strictObject({ n: z.number() });

  test('reach all subscribers, and what their schema refuses is skipped', async () => {
    const [one, two] = [await useAll(), await useAll()];
    const received: unknown[] = [];
    onTestFinished(onEvents(one, subjects.event('*', 'job', '*'), body, (event) => received.push(event)));
    await one.nc.flush();
    const done = subjects.event('smos-01', 'job', 'done');
    for (const text of ['nonsense', '{"n":"x"}', '']) two.nc.publish(done, text);
    publishEvent(two, done, { n: 1 });
    publishEvent(two, subjects.event('smos-01', 'recv', 'done'), { n: 2 });
    publishEvent(two, subjects.event('smos-02', 'job', 'failed'), { n: 3 });
    await expect
      .poll(() => received)
      .toEqual([
        { host: 'smos-01', what: 'done', body: { n: 1 } },
        { host: 'smos-02', what: 'failed', body: { n: 3 } },
      ]);
  });

  test('that may not be listened to leave the connection as it was', async () => {
    const [few, all] = [await useBus(url('few')), await useAll()];
    const received: unknown[] = [];
    const receive = (event: unknown) => void received.push(event);
    onTestFinished(onEvents(few, subjects.event('a', 'job', '*'), body, receive));
    await few.nc.flush();
    onTestFinished(onEvents(few, subjects.event('a', 'recv', '*'), body, receive));
    await few.nc.flush();
    publishEvent(all, subjects.event('a', 'recv', 'done'), { n: 1 });
    await expect.poll(() => received).toEqual([{ host: 'a', what: 'done', body: { n: 1 } }]);
  });

  test('are dropped without a word when the connection is closed', async () => {
    const bus = await useAll();
    await bus.close();
    expect(() => publishEvent(bus, subjects.event('a', 'job', 'done'), { n: 1 })).not.toThrow();
  });
});
