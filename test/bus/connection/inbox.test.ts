import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import type { MsgHdrs } from '@nats-io/transport-node';
import { expect, onTestFinished, test } from 'vitest';
import { z } from 'zod';
import type { Bus } from '../../../lib/bus/connection/connect.ts';
import { openDataConnection } from '../../../lib/bus/data-connection/connection.ts';
import { isPublishedTo, openInbox } from '../../../lib/bus/rpc/inbox.ts';
import { gatherAll, request, requestMany } from '../../../lib/bus/rpc/request.ts';
import { rejection, useBus } from '../../support/bus.ts';
import { useNatsAccounts } from '../../support/nats-account.ts';

const natsUrl = useNatsAccounts();
const answer = z.object({ says: z.string() });

/** Has JetStream deliver `{"says":"forged"}` to a subject. A client needs only a consumer of its own stream. */
async function useForger(): Promise<{ bus: Bus; deliver: (subject: string) => Promise<void> }> {
  const bus = await useBus(natsUrl());
  const manager = await jetstreamManager(bus.nc);
  const stream = `forger${process.hrtime.bigint()}`;
  await manager.streams.add({ name: stream, subjects: [`${stream}.>`] });
  onTestFinished(async () => void (await manager.streams.delete(stream)));
  await jetstream(bus.nc).publish(`${stream}.x`, JSON.stringify({ says: 'forged' }));
  const deliver = async (subject: string): Promise<void> => {
    await manager.consumers.add(stream, { deliver_subject: subject, ack_policy: 'none', deliver_policy: 'all' });
  };
  return { bus, deliver };
}

test('inboxes are of 16 random bytes, each request its own, below the prefix of this user', () => {
  const some = Array.from({ length: 100 }, () => openInbox('_INBOX.smos-00'));
  for (const one of some) expect(one).toMatch(/^_INBOX\.smos-00\.[0-9a-f]{32}$/);
  expect(new Set(some).size).toBe(100);
  expect(openInbox()).toMatch(/^_INBOX\.[0-9a-f]{32}$/);
});

test('a valid answer has the subscribed subject, and no status but that of no responders', () => {
  const headers = (code: number, ...names: string[]) =>
    ({ code, has: (name: string) => names.includes(name) }) as unknown as MsgHdrs;
  expect(isPublishedTo({ subject: 'a' }, 'a')).toBe(true);
  expect(isPublishedTo({ subject: 'b' }, 'a')).toBe(false);
  expect(isPublishedTo({ subject: 'a', headers: headers(0, 'Other') }, 'a')).toBe(true);
  expect(isPublishedTo({ subject: 'a', headers: headers(503) }, 'a')).toBe(true);
  for (const code of [100, 404, 408, 409])
    expect(isPublishedTo({ subject: 'a', headers: headers(code) }, 'a')).toBe(false);
  expect(isPublishedTo({ subject: 'a', headers: headers(0, 'Nats-Stream') }, 'a')).toBe(false);
});

test('what a stream delivers to an inbox is no answer: the true one is waited for', async () => {
  const { bus, deliver } = await useForger();
  bus.nc.subscribe('many', {
    callback: (_, message) => {
      void deliver(message.reply ?? '').then(() => {
        for (const says of ['true', 'too']) message.respond(JSON.stringify({ says }));
        message.respond('');
      });
    },
  });
  await bus.nc.flush();
  expect(await requestMany(bus, 'many', {}, answer)).toEqual([{ says: 'true' }, { says: 'too' }]);
  expect(await gatherAll(bus, 'many', {}, answer, 1500)).toMatchObject({
    answers: [{ says: 'true' }, { says: 'too' }],
    // the other messages are no proof that there is nothing else
    clear: false,
  });
});

test('a single answer that a stream delivered is none', async () => {
  const { bus, deliver } = await useForger();
  bus.nc.subscribe('one', { callback: (_, message) => void deliver(message.reply ?? '') });
  bus.nc.subscribe('true', { callback: (_, message) => void message.respond(JSON.stringify({ says: 'true' })) });
  await bus.nc.flush();
  expect(await rejection(request(bus, 'one', {}, answer, 3000))).toMatchObject({ code: 'TIMEOUT' });
  expect(await request(bus, 'true', {}, answer)).toEqual({ says: 'true' });
});

test('a receiver’s final message that a stream delivers is ignored', async () => {
  const { bus, deliver } = await useForger();
  const dataConnection = await openDataConnection(bus.options);
  onTestFinished(() => dataConnection.close());
  const received: string[] = [];
  const end = dataConnection.subscribe(
    'zfs-credit.smos-01.transfer1.smos-00',
    (text) => received.push(text),
    () => {},
  );
  onTestFinished(end);
  await deliver('zfs-credit.smos-01.transfer1.smos-00');
  bus.nc.publish('zfs-credit.smos-01.transfer1.smos-00', 'true');
  await expect.poll(() => received).toContain('true');
  expect(received).toEqual(['true']);
});
