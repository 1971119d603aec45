import { Readable } from 'node:stream';
import { describe, expect, onTestFinished, test } from 'vitest';
import { authenticationOfSource, authenticationOfTarget, tagText } from '../../../lib/bus/channel/direct/authentic.ts';
import { broadcast } from '../../../lib/bus/channel/direct/broadcast.ts';
import { controlFrame } from '../../../lib/bus/channel/direct/frame.ts';
import { openDirectSender } from '../../../lib/bus/channel/direct/sender.ts';
import {
  ends,
  nameOf,
  noSpace,
  patienceMs,
  silenceMs,
  stream,
  useDataConnection,
  useSource,
  useTarget,
  useThirdParty,
  window,
} from '../../support/direct-ends.ts';
import { useNatsServer } from '../../support/nats-server.ts';
import { data } from '../../support/scripted-sender.ts';

const server = useNatsServer({});
const url = () => server().url;

describe('data that a third party publishes', () => {
  test('begins nothing before a control message of the source', async () => {
    const of = ends();
    const enemy = await useThirdParty(url());
    const to = await useTarget(url(), of);
    await enemy.publish(of.dataSubject, data(0, stream.subarray(0, 1000)));
    await expect.poll(() => to.broken?.code).toBe('STREAM_BROKEN');
    expect([to.began, to.taken]).toEqual([0, []]);
    to.direct.close();

    // however long it waits for that word, until the silence ends it
    const next = ends();
    const recorded = await enemy.record(next.creditSubject);
    const waiting = await useTarget(url(), next);
    await expect.poll(() => waiting.broken?.details?.reason, { timeout: 5000 }).toBe('silent');
    await expect.poll(() => recorded.some((word) => word.includes('"failed"'))).toBe(true);
    expect(recorded.filter((word) => /"upTo":[1-9]/.test(word.toString()))).toEqual([]);
  });

  test.each([
    ['before the true bytes of the same offset', 0, 1000],
    ['instead of all that may come', 0, window],
    ['of an offset that was sent already', -1, 1000],
  ])('%s ends in a failure at both ends, never in done', async (_what, at, length) => {
    const of = ends();
    const enemy = await useThirdParty(url());
    const to = await useTarget(url(), of, true);
    const from = await useSource(url(), of);
    // the receiver has met the source, and granted it a window
    await expect.poll(() => from.direct.room).toBe(window);
    if (at < 0) {
      const sending = from.send().catch((error) => error);
      await expect.poll(() => to.direct.received).toBe(window);
      await enemy.publish(of.dataSubject, data(0, stream.subarray(0, length)));
      await sending;
    } else {
      await enemy.publish(of.dataSubject, data(0, stream.subarray(0, length)));
      await expect.poll(() => to.direct.received).toBe(length);
      await from.send().catch((error) => error);
    }
    expect(await from.direct.final).toMatchObject({ type: 'failed', error: { code: 'STREAM_BROKEN' } });
    expect(to.broken).toMatchObject({
      code: 'STREAM_BROKEN',
      details: { reason: expect.stringMatching(/^(gap|beyond-credit)$/) },
    });
  });
});

test('neither of two receivers of one stream forges the other, and the subject that they share carries no control message', async () => {
  const sharedSubject = 'zfs-data.a._fan.jobjobf1';
  const [one, two] = [ends('b'), ends('c')];
  const enemy = await useThirdParty(url());
  const [first, second] = [
    await useTarget(url(), one, false, sharedSubject),
    await useTarget(url(), two, true, sharedSubject),
  ];
  const from = await useDataConnection(url());
  const [toFirst, toSecond] = [one, two].map((of) => {
    const direct = openDirectSender(from, {
      ...of,
      window,
      silenceMs,
      patienceMs,
      authentication: authenticationOfSource(nameOf(of), of.secrets),
    });
    onTestFinished(() => direct.close());
    direct.share(sharedSubject);
    return direct;
  });
  if (!toFirst || !toSecond) throw new Error('two are needed');
  // what the first member knows: its own secrets, and all that is on the shared subject
  const own = authenticationOfTarget(nameOf(one), one.secrets).own;
  const done = JSON.stringify({ type: 'done', guid: '42', bytes: stream.length });
  const recorded = await enemy.record(one.dataSubject);
  const subscribers = [toFirst, toSecond];
  const broadcasting = broadcast(
    from,
    { subject: sharedSubject, subscribers },
    Readable.from([stream], { objectMode: false }),
  );
  await expect.poll(() => second.direct.received).toBe(window);
  await expect.poll(() => recorded.length).toBeGreaterThan(0);
  const words = authenticationOfSource(nameOf(one), one.secrets).own;
  const frames = [controlFrame('end', window), controlFrame('abort', 0, JSON.stringify(noSpace))];
  const forged = [...frames, ...frames.map((frame) => words.tag(frame)), ...recorded];
  await enemy.publish(sharedSubject, ...forged.slice(0, 2));
  await enemy.publish(two.dataSubject, ...forged);
  await enemy.publish(two.creditSubject, tagText(own, done), done);
  await expect.poll(() => second.direct.forged).toBe(forged.length + 2);
  expect([toSecond.over, second.broken]).toEqual([undefined, undefined]);
  second.go();
  await broadcasting;
  for (const direct of subscribers) direct.end();
  const finals = await Promise.all(subscribers.map(({ final }) => final));
  expect(finals).toEqual(Array(2).fill({ type: 'done', guid: '42', bytes: stream.length }));
  for (const { taken } of [first, second]) expect(Buffer.concat(taken).equals(stream)).toBe(true);
});
