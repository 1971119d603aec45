import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { Kvm } from '@nats-io/kv';
import type { Msg, NatsConnection } from '@nats-io/transport-node';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Bus, connectBus } from '../../../lib/bus/connection/connect.ts';
import {
  eventsStream,
  keySubject,
  lockKey,
  locksBucket,
  policiesBucket,
  statusBucket,
  subjects,
} from '../../../lib/bus/subjects.ts';
import { type NatsServer, startNatsServer } from '../../../tools/nats-server/start.ts';
import { type AccountFleet, makeAccountFleet } from '../../support/account-fleet.ts';
import { useBus } from '../../support/bus.ts';
import { makeStores } from '../../support/fleet-buckets.ts';
import { program } from '../../support/program.ts';

/** bravo has nothing but its own key. */
const hosts = {
  alfa: { roles: ['sender'] },
  carl: { roles: ['receiver'], from: ['alfa'] },
  bravo: { from: ['alfa'] },
} satisfies Parameters<typeof makeAccountFleet>[0]['hosts'];

/** What `zpsend deploy permissions` prints for the same keys. */
async function oneAccount(fleet: AccountFleet): Promise<string> {
  const flags = { alfa: ['--sender'], carl: ['--receiver', '--from', 'alfa'], bravo: ['--from', 'alfa'] };
  const keyOf = (name: string) =>
    /nkey: (U\w+)/.exec(fleet.configs['nats-1']?.split(`"${name}": {`)[1] ?? '')?.[1] ?? '';
  const users = Object.entries(flags).map(async ([host, more]) => {
    const argv = [program, 'deploy', 'permissions', host, '--nkey', keyOf(`host-${host}`), ...more];
    return (await execa(process.execPath, argv)).stdout;
  });
  return `authorization { users: [\n{ nkey: ${keyOf('admins')} }\n${(await Promise.all(users)).join('\n')}\n] }`;
}

const victims = [policiesBucket, locksBucket, statusBucket].map((bucket) => `KV_${bucket}`);

describe.each(['an account each', 'one account'] as const)('hosts with %s', (setup) => {
  const isDetached = setup === 'an account each';
  let fleet: AccountFleet;
  let server: NatsServer;
  let admin: Bus;

  beforeAll(async () => {
    fleet = await makeAccountFleet({ hosts });
    const config = isDetached ? (fleet.configs['nats-1'] ?? '') : await oneAccount(fleet);
    server = await startNatsServer({ config, jetstream: !isDetached });
    admin = await connectBus({ name: 'ops', env: { NATS_URL: server.url, ...fleet.env.ops }, wait: false });
    await makeStores(admin, ['alfa', 'bravo']);
  });
  afterAll(async () => {
    await admin?.close();
    await server?.stop();
    await fleet?.remove();
  });

  const as = async (name: keyof typeof hosts | 'looker'): Promise<NatsConnection> =>
    (await useBus(server.url, { host: name, env: { NATS_URL: server.url, ...fleet.env[name] } })).nc;

  /** Replaces the buckets, with one entry each. */
  async function fill(): Promise<void> {
    const manager = await jetstreamManager(admin.nc);
    for (const stream of victims) await manager.streams.delete(stream).catch(() => undefined);
    const buckets = new Kvm(jetstream(admin.nc));
    await (await buckets.create(policiesBucket, { history: 8 })).put('alfa.vm', '{"dataset":"pool/a","to":["carl"]}');
    await (await buckets.create(locksBucket, { history: 1 })).put(lockKey('carl', 'pool/a'), 'locked');
    await (await buckets.create(statusBucket, { history: 1 })).put('alfa.to.carl.pool/a', '{}');
  }

  /** Which of the buckets still hold their entry as it was. */
  async function whole(): Promise<string[]> {
    const manager = await jetstreamManager(admin.nc);
    const kept = victims.map(async (stream) => {
      const info = await manager.streams.info(stream).catch(() => undefined);
      return info && info.state.messages === 1 ? [stream] : [];
    });
    return (await Promise.all(kept)).flat();
  }

  /** A consumer without messages, of which every pull is answered by an empty status. */
  async function emptyConsumer(nc: NatsConnection): Promise<string> {
    const filter_subject = subjects.snapshotCreated('bravo');
    const config = {
      durable_name: 'bravo',
      name: 'bravo',
      filter_subject,
      ack_policy: 'explicit',
      deliver_policy: 'all',
    };
    const subject = `$JS.API.CONSUMER.CREATE.${eventsStream}.bravo.${filter_subject}`;
    const answer = await nc.request(subject, JSON.stringify({ stream_name: eventsStream, config }), { timeout: 4000 });
    expect(answer.json()).not.toHaveProperty('error');
    return `$JS.API.CONSUMER.MSG.NEXT.${eventsStream}.bravo`;
  }

  /** After all that was published by a connection, the server has also done what that asked of JetStream. */
  async function settled(nc: NatsConnection): Promise<void> {
    await nc.flush();
    const answer = await nc.request('$JS.API.INFO', '', { timeout: 4000 });
    expect(answer.json()).not.toHaveProperty('error');
    await (await jetstreamManager(admin.nc)).getAccountInfo();
  }

  test('an empty status of JetStream, wanted on its own API, deletes nothing of others', async () => {
    await fill();
    const nc = await as('bravo');
    const next = await emptyConsumer(nc);
    const pull = JSON.stringify({ batch: 1, no_wait: true });
    for (const stream of victims) nc.publish(next, pull, { reply: `$JS.API.STREAM.DELETE.${stream}` });
    await settled(nc);
    if (isDetached) expect(await whole()).toEqual(victims);
    // hosts of one account trust each other with everything
    else await expect.poll(whole, { timeout: 5000 }).toEqual([]);
  });

  test('an acknowledgement whose answer is wanted on the API deletes nothing of others', async () => {
    await fill();
    const nc = await as('bravo');
    const next = await emptyConsumer(nc);
    nc.publish(subjects.snapshotCreated('bravo'), 'pool/a@1');
    await settled(nc);
    const pulled = Promise.withResolvers<string>();
    const reply = '_INBOX.bravo.pulled';
    nc.subscribe(reply, { callback: (_error, { reply: ack }) => void (ack && pulled.resolve(ack)) });
    nc.publish(next, JSON.stringify({ batch: 1, expires: 2_000_000_000 }), { reply });
    const acknowledged = await pulled.promise;
    expect(acknowledged).toMatch(/^\$JS\.ACK\./);
    nc.publish(acknowledged, '+ACK', { reply: `$JS.API.STREAM.DELETE.KV_${policiesBucket}` });
    await settled(nc);
    if (isDetached) expect(await whole()).toEqual(victims);
    else await expect.poll(whole, { timeout: 5000 }).not.toContain(`KV_${policiesBucket}`);
  });

  test.runIf(isDetached)('a viewer gives no orders, and writes and deletes nothing', async () => {
    await fill();
    const ordered: string[] = [];
    const victim = await as('alfa');
    victim.subscribe('zfs.alfa.>', { callback: (_error, message) => void ordered.push(message.subject) });
    await victim.flush();
    const nc = await as('looker');
    const policy = keySubject(policiesBucket, 'alfa.vm');
    for (const verb of ['start', 'abort', 'repair'] as const) nc.publish(subjects.send('alfa', verb), '{}');
    nc.publish(policy, 'x');
    nc.publish(`$JS.API.STREAM.DELETE.KV_${policiesBucket}`, '');
    for (const reply of [policy, subjects.send('alfa', 'start'), `$JS.API.STREAM.PURGE.KV_${locksBucket}`]) {
      nc.publish('$JS.API.INFO', '', { reply });
      nc.publish(subjects.info('alfa'), '', { reply });
    }
    await settled(nc);
    await victim.flush();
    expect(await whole()).toEqual(victims);
    expect([...new Set(ordered)]).toEqual([subjects.info('alfa')]);
  });

  test('an answer of JetStream, wanted on a key, writes no lock and no policy of others', async () => {
    await fill();
    const nc = await as('bravo');
    const keys = [keySubject(locksBucket, lockKey('carl', 'pool/a')), keySubject(policiesBucket, 'alfa.vm')];
    for (const reply of keys) nc.publish('$JS.API.INFO', '', { reply });
    // and the word of a stored message
    for (const reply of keys) nc.publish(keySubject(locksBucket, lockKey('bravo', 'pool/b')), 'x', { reply });
    await settled(nc);
    const manager = await jetstreamManager(admin.nc);
    const values = await Promise.all(
      [`KV_${locksBucket}`, `KV_${policiesBucket}`].map(async (stream, at) =>
        (await manager.streams.getMessage(stream, { last_by_subj: keys[at] ?? '' }))?.string(),
      ),
    );
    const honest = ['locked', '{"dataset":"pool/a","to":["carl"]}'];
    if (isDetached) expect(values).toEqual(honest);
    else for (const [at, value] of values.entries()) expect(value).not.toBe(honest[at]);
  });

  /** What comes on a subject while bravo attacks; the last message is one that is sure to come after all others. */
  async function receivedBy(
    victim: 'alfa' | 'carl',
    subject: string,
    attack: (nc: NatsConnection) => Promise<void>,
  ): Promise<Msg[]> {
    const nc = await as(victim);
    const received: Msg[] = [];
    nc.subscribe(subject, { callback: (error, message) => void (error || received.push(message)) });
    await nc.flush();
    const attacker = await as('bravo');
    await attack(attacker);
    await settled(attacker);
    await nc.flush();
    return received;
  }

  let consumers = 0;
  /** Under what the newest forgery is stored. */
  const own = () => `$O.zfs-streams-bravo.C.forged${consumers}`;
  /** Stores a message in its own stream, and has JetStream deliver it. @returns the error of JetStream, or `made` */
  async function deliver(nc: NatsConnection, deliver_subject: string, body: string, idle = 0): Promise<string> {
    consumers += 1;
    await nc.request(own(), body, { timeout: 4000 });
    const name = `forger${consumers}`;
    const stream = 'OBJ_zfs-streams-bravo';
    const filter_subject = idle > 0 ? '$O.zfs-streams-bravo.C.none' : own();
    const heartbeat = idle > 0 ? { idle_heartbeat: idle } : {};
    const config = { name, deliver_subject, filter_subject, ack_policy: 'none', deliver_policy: 'last', ...heartbeat };
    const subject = `$JS.API.CONSUMER.CREATE.${stream}.${name}.${filter_subject}`;
    const request = JSON.stringify({ stream_name: stream, config });
    const made = await nc.request(subject, request, { timeout: 4000 });
    const { error } = made.json<{ error?: { description: string } }>();
    if (error) return error.description;
    const manager = await jetstreamManager(admin.nc);
    const delivered = async () => (await manager.consumers.info(stream, name)).delivered.stream_seq;
    // without interest nothing is delivered, which is as good
    await expect
      .poll(delivered, { timeout: 700 })
      .toBeGreaterThan(0)
      .catch(() => undefined);
    return 'made';
  }

  test.each([
    ['an order', 'alfa', subjects.send('alfa', 'start'), '{"dataset":"pool/a","to":{"host":"bravo"}}'],
    ['a receiver’s last word', 'alfa', subjects.credit('alfa', 'transfer01', 'carl'), '{"type":"done"}'],
    ['data in another’s name', 'carl', subjects.data('alfa', 'carl', 'transfer01'), 'x'],
    ['a request in another’s name', 'carl', subjects.receiveFrom('carl', 'alfa'), '{}'],
    ['an answer', 'carl', '_INBOX.carl.0123456789abcdef', '{}'],
  ] as const)('%s of bravo does not reach its victim out of a stream', async (_what, victim, subject, body) => {
    const received = await receivedBy(victim, subject, async (nc) => void (await deliver(nc, subject, body)));
    // where it comes it bears the subject under which it is stored, which services do nothing with
    if (isDetached) expect(received.map((message) => message.subject)).toEqual([]);
    else for (const message of received) expect(message.subject).toBe(own());
  });

  test('what JetStream delivers into the deliveries of another bears the subject under which it is stored', async () => {
    const subject = '_DELIVER.carl.0123456789abcdef';
    const received = await receivedBy('carl', subject, async (nc) => void (await deliver(nc, subject, 'forged')));
    expect(received.map((message) => message.subject)).toEqual([own()]);
  });

  test.each([
    ['the API', `$JS.API.STREAM.DELETE.KV_${policiesBucket}`],
    ['a purge', `$JS.API.STREAM.PURGE.KV_${locksBucket}`],
    ['a key', keySubject(policiesBucket, 'alfa.vm')],
  ])('heartbeats and messages of a consumer that delivers to %s change nothing there', async (_what, aim) => {
    await fill();
    const nc = await as('bravo');
    const answers = [await deliver(nc, aim, ''), await deliver(nc, aim, '', 150_000_000)];
    await settled(nc);
    expect([answers, await whole()]).toEqual([answers, victims]);
  });

  test.each([
    ['an order to another host', 'alfa', subjects.send('alfa', 'start')],
    ['a request to receive in another host’s name', 'carl', subjects.receiveFrom('carl', 'alfa')],
    ['a question for all that another host has', 'alfa', subjects.snapshots('alfa')],
    ['a question for a listing in another host’s name', 'alfa', subjects.snapshotsFrom('alfa', 'carl')],
    ['data in another host’s name', 'carl', subjects.data('alfa', 'carl', 'transfer01')],
    ['credit in another host’s name', 'alfa', subjects.credit('alfa', 'transfer01', 'carl')],
    ['an answer to the inbox of another host', 'carl', '_INBOX.carl.fedcba9876543210'],
  ] as const)('%s: neither published nor as the answer to its own request', async (_what, victim, subject) => {
    const received = await receivedBy(victim, subject, async (nc) => {
      nc.publish(subject, 'x', { reply: '_INBOX.bravo.answer' });
      nc.subscribe('zfs.bravo.me', { callback: (error, message) => void (error || message.respond('x')) });
      nc.publish('zfs.bravo.me', '', { reply: subject });
      // its own message has come back, and been answered, when this one is answered
      await nc.flush();
      await nc.request('zfs.bravo.me', '', { timeout: 4000 }).catch(() => undefined);
    });
    const isInbox = subject.startsWith('_INBOX');
    // in one account any host that knows the inbox of a request may answer it
    if (isDetached || !isInbox) expect(received.map(({ data }) => data)).toEqual([]);
    else expect(received.length).toBeGreaterThan(0);
  });
});
