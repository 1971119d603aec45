import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { Kvm } from '@nats-io/kv';
import { expect, test } from 'vitest';
import { createStreamsBucket } from '../../../lib/bus/channel/store/create-bucket.ts';
import { openReceipts } from '../../../lib/bus/channel/store/receipts.ts';
import {
  eventsStream,
  hostsBucket,
  lockKey,
  locksBucket,
  policiesBucket,
  receiptKey,
  statusBucket,
  statusKey,
  subjects,
} from '../../../lib/bus/subjects.ts';
import { type PermittedHost, usePermittedHosts } from '../../support/permitted-hosts.ts';

// what the server refuses to hosts of one account

const hosts = usePermittedHosts();
const stream = `KV_${statusBucket}`;
const statusOf = (source: string) => statusKey({ source, dataset: 'pool/a', target: 'smos-00', into: 'pool/a' });

const create = '$JS.API.CONSUMER.CREATE.';

/** The server's word on one publication. @param isAnswer the host has asked itself before, and wanted the answer there */
async function published(host: PermittedHost, subject: string, isAnswer = false): Promise<boolean> {
  const bus = await hosts().as(host);
  const admin = await hosts().as('admin');
  const received = Promise.withResolvers<boolean>();
  admin.nc.subscribe(subject, { callback: () => received.resolve(true) });
  await admin.nc.flush();
  const refused = (async () => {
    for await (const status of bus.nc.status()) if (status.type === 'error') return false;
    return false;
  })();
  if (isAnswer) {
    const own = Promise.withResolvers<void>();
    bus.nc.subscribe(`zfs.${host}.me`, { callback: () => own.resolve() });
    bus.nc.publish(`zfs.${host}.me`, '', { reply: subject });
    // some replies the server itself refuses
    if ((await Promise.race([own.promise, refused])) === false) return false;
  }
  bus.nc.publish(subject, 'x');
  await bus.nc.flush();
  return Promise.race([received.promise, refused]);
}

async function subscribed(host: PermittedHost, subject: string): Promise<boolean> {
  const bus = await hosts().as(host);
  const answer = Promise.withResolvers<boolean>();
  bus.nc.subscribe(subject, { callback: (error) => answer.resolve(!error) });
  await bus.nc.flush();
  const admin = await hosts().as('admin');
  admin.nc.publish(subject.replaceAll('*', 'any').replace('>', 'any'), 'x');
  return answer.promise;
}

test.each<[string, PermittedHost, string, boolean]>([
  ['data as itself', 'smos-01', 'zfs-data.smos-01.smos-00.abcdef', true],
  ['data that several receive, as itself', 'smos-01', 'zfs-data.smos-01._fan.abcdef', true],
  ['data as another host', 'smos-01', 'zfs-data.smos-02.smos-00.abcdef', false],
  ['data that several receive, as another host', 'smos-01', 'zfs-data.smos-02._fan.abcdef', false],
  ['credit for another receiver', 'smos-00', 'zfs-credit.smos-01.abcdef.smos-02', false],
  ['credit as a host that only sends', 'smos-01', 'zfs-credit.smos-02.abcdef.smos-01', false],
  ['data as a host that only receives', 'smos-00', 'zfs-data.smos-00.smos-02.abcdef', false],
  ['an order to another host’s sender', 'smos-01', 'zfs.smos-02.send.start', false],
  ['a request to receive, in its own name', 'smos-01', 'zfs.smos-00.recv.start.smos-01', true],
  ['a request to receive, in another host’s name', 'smos-01', 'zfs.smos-00.recv.start.smos-02', false],
  ['a request to receive, in no host’s name', 'smos-01', 'zfs.smos-00.recv.start', false],
  ['a question about a plan, in its own name', 'smos-01', 'zfs.smos-00.recv.check.smos-01', true],
  ['a question about a plan, in another host’s name', 'smos-01', 'zfs.smos-00.recv.check.smos-02', false],
  ['a question for a listing, in its own name', 'smos-00', 'zfs.smos-01.snapshots.from.smos-00', true],
  ['a question for a listing, in another host’s name', 'smos-00', 'zfs.smos-01.snapshots.from.smos-02', false],
  ['a question for a listing, in no host’s name', 'smos-00', 'zfs.smos-01.snapshots', false],
  ['a question for a listing, to one instance', 'smos-00', 'zfs.smos-01.snapshots.abcdefgh', false],
  ['a question for a digest, in its own name', 'smos-00', 'zfs.smos-01.digest.start.from.smos-00', true],
  ['a question for a digest, in another host’s name', 'smos-00', 'zfs.smos-01.digest.start.from.smos-02', false],
  ['a question for a digest, in no host’s name', 'smos-00', 'zfs.smos-01.digest.start', false],
  ['the end of another’s digest', 'smos-00', 'zfs.smos-01.digest.abort.each', false],
  [
    'an order to another host’s sender, in its own name, which is not granted',
    'smos-00',
    subjects.sendFrom('smos-01', 'smos-00'),
    false,
  ],
  ['the end of another host’s receive', 'smos-01', 'zfs.smos-02.recv.abort', false],
  ['mending on another host', 'smos-00', 'zfs.smos-02.recv.repair', false],
  ['an event of another host', 'smos-01', 'zfs.smos-02.event.job.done', false],
  ['a lock of an own dataset', 'smos-00', `$KV.${locksBucket}.${lockKey('smos-00', 'pool/a')}`, true],
  ['a lock of another host’s dataset', 'smos-00', `$KV.${locksBucket}.${lockKey('smos-02', 'pool/a')}`, false],
  ['a lock as a host that only sends', 'smos-01', `$KV.${locksBucket}.${lockKey('smos-01', 'pool/a')}`, false],
  ['its own host name', 'smos-00', `$KV.${hostsBucket}.smos-00`, true],
  ['its own host name, as a host that only sends', 'smos-01', `$KV.${hostsBucket}.smos-01`, true],
  ['another host’s name', 'smos-01', `$KV.${hostsBucket}.smos-00`, false],
  ['the end of the bucket of host names', 'smos-01', `$JS.API.STREAM.DELETE.KV_${hostsBucket}`, false],
  ['a status of what it sends', 'smos-01', `$KV.${statusBucket}.${statusOf('smos-01')}`, true],
  ['a status of what another host sends', 'smos-01', `$KV.${statusBucket}.${statusOf('smos-02')}`, false],
  ['a status as a host that only receives', 'smos-00', `$KV.${statusBucket}.${statusOf('smos-00')}`, false],
  ['what is no status in their bucket', 'smos-01', `$KV.${statusBucket}.smos-01.other`, false],
  ['a consumer of the status, which can deliver anywhere', 'smos-01', `$JS.API.CONSUMER.CREATE.${stream}.x`, false],
  ['the status, as a direct get', 'smos-01', `$JS.API.DIRECT.GET.${stream}`, false],
  ['the end of the bucket of status', 'smos-01', `$JS.API.STREAM.DELETE.${stream}`, false],
  ['an answer', 'smos-00', '_INBOX.smos-01.abc.1', true],
  ['the end of the bucket of locks', 'smos-00', `$JS.API.STREAM.DELETE.KV_${locksBucket}`, false],
  ['another bucket', 'smos-00', '$JS.API.STREAM.CREATE.KV_zfs-status', false],
  ['a policy, its own host’s too', 'smos-01', `$KV.${policiesBucket}.smos-01.vm`, false],
  ['its own new snapshot', 'smos-01', subjects.snapshotCreated('smos-01'), true],
  ['a new snapshot of another host', 'smos-01', subjects.snapshotCreated('smos-02'), false],
  ['the next event for another host', 'smos-01', `$JS.API.CONSUMER.MSG.NEXT.${eventsStream}.smos-02`, false],
  ['a consumer of another host', 'smos-01', `$JS.API.CONSUMER.DELETE.${eventsStream}.smos-02`, false],
  [
    'a consumer of its name for another host’s events',
    'smos-01',
    `$JS.API.CONSUMER.CREATE.${eventsStream}.smos-01.${subjects.snapshotCreated('smos-02')}`,
    false,
  ],
  ['an event of another host taken', 'smos-01', `$JS.ACK.${eventsStream}.smos-02.1.1.1.1.0`, false],
  ['its own segment', 'smos-01', '$O.zfs-streams-smos-01.C.x', true],
  ['a segment of another host', 'smos-01', '$O.zfs-streams-smos-02.C.x', false],
  ['what a source keeps, as one that fetches it', 'smos-00', '$O.zfs-streams-smos-01.M.x', false],
  ['a consumer of what is kept for it', 'smos-00', `${create}OBJ_zfs-streams-smos-01.x`, true],
  ['a consumer of another source’s streams', 'smos-00', `${create}OBJ_zfs-streams-smos-02.x`, false],
  ['a question for another source’s streams', 'smos-00', '$JS.API.STREAM.MSG.GET.OBJ_zfs-streams-smos-02', false],
  ['what is kept for it, as a direct get', 'smos-00', '$JS.API.DIRECT.GET.OBJ_zfs-streams-smos-01', false],
  ['the same in its other form', 'smos-00', '$JS.API.DIRECT.GET.OBJ_zfs-streams-smos-01.x', false],
  ['its own streams, as a direct get', 'smos-01', '$JS.API.DIRECT.GET.OBJ_zfs-streams-smos-01', false],
  ['the removal of what a source keeps', 'smos-00', '$JS.API.STREAM.PURGE.OBJ_zfs-streams-smos-01', false],
  ['the end of its own bucket', 'smos-01', '$JS.API.STREAM.DELETE.OBJ_zfs-streams-smos-01', false],
  ['a consumer of the policies', 'smos-01', `$JS.API.CONSUMER.CREATE.KV_${policiesBucket}`, false],
])('publishing %s', async (_what, host, subject, allowed) => {
  expect(await published(host, subject)).toBe(allowed);
  if (!allowed) expect(await published(host, subject, true)).toBe(false);
});

test.each<[string, PermittedHost, string, boolean]>([
  ['data for itself', 'smos-00', 'zfs-data.*.smos-00.*', true],
  ['data for another host', 'smos-00', 'zfs-data.*.smos-02.*', false],
  ['all data', 'smos-00', 'zfs-data.>', false],
  ['data that several receive, of a source that it is given', 'smos-00', 'zfs-data.smos-01._fan.*', true],
  ['data that several receive, of another source', 'smos-00', 'zfs-data.smos-02._fan.*', false],
  ['data that several receive, of every source', 'smos-00', 'zfs-data.*._fan.*', false],
  ['data at all, on a host that only sends', 'smos-01', 'zfs-data.*.smos-01.*', false],
  ['credit for another sender', 'smos-01', 'zfs-credit.smos-02.*.*', false],
  ['its own host name', 'smos-00', `$KV.${hostsBucket}.smos-00`, true],
  ['all host names', 'smos-00', `$KV.${hostsBucket}.>`, false],
  ['requests to another host', 'smos-00', 'zfs.smos-02.recv.start', false],
  ['another host’s answers', 'smos-00', '_INBOX.smos-01.>', false],
  ['all answers', 'smos-00', '_INBOX.>', false],
  ['everything', 'smos-02', '>', false],
])('subscribing to %s', async (_what, host, subject, allowed) => {
  expect(await subscribed(host, subject)).toBe(allowed);
});

test('what a host stores is delivered into no lock, no store and no receipt of another', async () => {
  const admin = await hosts().as('admin');
  await createStreamsBucket(admin, 'smos-02', { maxBytes: 64 * 1024 * 1024, maxAgeSeconds: 600, replicas: 1 });
  const forger = await hosts().as('smos-01');
  const key = lockKey('smos-00', 'pool/forged');
  const receipt = `$KV.${statusBucket}.${receiptKey('smos-00', 'smos-02', 'forged00', 0)}`;
  const done = JSON.stringify({ state: 'done', bytes: 1 });
  const aims = [
    receipt,
    `$KV.${locksBucket}.${key}`,
    '$O.zfs-streams-smos-02.M.Zm9yZ2Vk',
    '$O.zfs-streams-smos-02.C.forged',
  ];
  await forger.nc.request('$O.zfs-streams-smos-01.C.forged', done, { timeout: 4000 });
  const stream = 'OBJ_zfs-streams-smos-01';
  const manager = await jetstreamManager(admin.nc);
  for (const [at, deliver_subject] of aims.entries()) {
    const name = `forger${at}`;
    const config = { name, deliver_subject, filter_subject: '$O.zfs-streams-smos-01.C.forged', ack_policy: 'none' };
    const body = JSON.stringify({ stream_name: stream, config });
    await forger.nc.request(`${create}${stream}.${name}.${config.filter_subject}`, body, { timeout: 4000 });
    const sent = async () => (await manager.consumers.info(stream, name).catch(() => undefined))?.delivered.stream_seq;
    await expect
      .poll(sent, { timeout: 3000 })
      .toBeGreaterThan(0)
      .catch(() => undefined);
  }
  const found = await Promise.all(
    aims.map((subject) =>
      manager.streams.getMessage(
        subject.replace(/^\$(?:KV\.([^.]+)|O\.([^.]+)).*/, (_, kv, store) => (kv ? `KV_${kv}` : `OBJ_${store}`)),
        {
          last_by_subj: subject,
        },
      ),
    ),
  );
  expect(found).toEqual([null, null, null, null]);
  // an answer of JetStream can be aimed there, and is no receipt
  forger.nc.publish('$JS.API.INFO', '', { reply: receipt });
  const aimed = async () => (await manager.streams.getMessage(`KV_${statusBucket}`, { last_by_subj: receipt }))?.seq;
  await expect.poll(aimed).toBeGreaterThan(0);
  expect(await openReceipts(admin).read('smos-02')).toEqual([]);
});

test('the lock of another host is neither taken nor released', async () => {
  const admin = await hosts().as('admin');
  const kv = await new Kvm(jetstream(admin.nc)).open(locksBucket);
  const key = lockKey('smos-02', 'pool/locked');
  const revision = await kv.create(key, 'locked');
  const thief = await hosts().as('smos-00');
  const theirs = await new Kvm(jetstream(thief.nc, { timeout: 1000 })).open(locksBucket);
  await expect(theirs.delete(key, { previousSeq: revision })).rejects.toThrow();
  await expect(theirs.update(key, 'mine', revision)).rejects.toThrow();
  expect((await kv.get(key))?.string()).toBe('locked');
  await expect(
    (await jetstreamManager(thief.nc, { timeout: 1000, checkAPI: false })).streams.purge(`KV_${locksBucket}`),
  ).rejects.toThrow();
});
