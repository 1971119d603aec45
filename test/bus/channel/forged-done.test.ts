import { execa } from 'execa';
import { expect, test } from 'vitest';
import { authenticationOfTarget, newSecret, tagText } from '../../../lib/bus/channel/direct/authentic.ts';
import { controlFrame } from '../../../lib/bus/channel/direct/frame.ts';
import { hashOfTransfer } from '../../../lib/bus/locks/transfer-hash.ts';
import { readStatus } from '../../../lib/bus/status/read.ts';
import { locksBucket, subjects } from '../../../lib/bus/subjects.ts';
import { locksOutputSchema } from '../../../schemas/output.ts';
import {
  type ReceiveReady,
  receiveReadySchema,
  receiveStartSchema,
  type StartRequest,
} from '../../../schemas/transfer.ts';
import { rejection } from '../../support/bus.ts';
import { type Fleet, useFleet } from '../../support/fleet.ts';
import { useGate } from '../../support/gate.ts';
import { useNatsAccounts } from '../../support/nats-account.ts';
import { program } from '../../support/program.ts';
import { data } from '../../support/scripted-sender.ts';
import type { SimHost } from '../../support/sim-host.ts';

// no user of this server is kept from any subject: what holds are the messages' authenticators alone

const natsUrl = useNatsAccounts();
const body = { dataset: 'zones/test', to: { host: 'smos-00' } };
const allow = { ZPSEND_ALLOW: '*=zones' };

interface Pair {
  readonly fleet: Fleet;
  readonly source: SimHost;
  readonly target: SimHost;
}

async function usePair(): Promise<Pair> {
  const fleet = await useFleet(natsUrl());
  const [source, target] = await Promise.all([fleet.host('smos-01'), fleet.host('smos-00')]);
  await Promise.all([source.zpool('create', 'zones'), target.zpool('create', 'zones')]);
  await source.zfs('create', 'zones/test');
  await snapshot(source, 'one');
  return { fleet, source, target };
}

async function snapshot(host: SimHost, name: string): Promise<void> {
  await host.zfs('set', 'zfs-sim:write=200000', 'zones/test');
  await host.zfs('snapshot', `zones/test@${name}`);
}

const guidOf = (host: SimHost, name: string): Promise<string> =>
  host.zfs('get', '-Hp', '-o', 'value', 'guid', `zones/test@${name}`);

/** All that a job moves when a snapshot has arrived. */
async function moved({ fleet, source }: Pair, job: string) {
  const { state, done } = (await fleet.status('smos-01', job)) ?? {};
  const holds = await source.zfs('holds', '-H', 'zones/test@one', 'zones/test@two');
  // beside it there may be a bookmark of what the target has only perhaps
  const marks = (await source.zfs('list', '-Hp', '-t', 'bookmark', '-o', 'name,guid', 'zones/test')).split('\n');
  const cursors = marks.flatMap((line) => (line.includes('#zpsend_smos-00_') ? [line.split('\t')[1]] : []));
  const row = (await readStatus(fleet.bus, 'smos-01'))?.found.find(({ target }) => target === 'smos-00');
  return {
    isDone: state === 'done' || (done ?? 0) > 0,
    held: holds.split('\n').map((line) => line.split('\t')[0]),
    cursors,
    sent: row?.entry.sent?.guid,
    lag: row?.entry.lag?.snapshots,
  };
}

/** Publishes every message that ends a transfer or keeps it alive. A client needs only its id, the guid and the bytes sent. */
function forge({ fleet }: Pair, transfer: string, guid: string, bytes: number): void {
  const { nc } = fleet.bus;
  const own = authenticationOfTarget(
    { source: 'smos-01', target: 'smos-00', transfer },
    { source: newSecret(), target: newSecret() },
  ).own;
  for (const word of [
    { type: 'credit', upTo: 1 << 30 },
    { type: 'done', guid, bytes },
    { type: 'failed', error: { code: 'NO_SPACE', message: 'forged', retryable: false } },
  ]) {
    const text = JSON.stringify(word);
    for (const message of [text, tagText(own, text)])
      nc.publish(subjects.credit('smos-01', transfer, 'smos-00'), message);
  }
  const abort = controlFrame('abort', 0, JSON.stringify({ code: 'ABORTED', message: 'forged', retryable: false }));
  for (const frame of [controlFrame('end', bytes), controlFrame('ping', bytes), abort])
    for (const message of [frame, own.tag(frame)]) nc.publish(subjects.data('smos-01', 'smos-00', transfer), message);
}

test('done in the receiver’s name moves nothing: not the job, its status, its holds or its cursors', async () => {
  const pair = await usePair();
  const { fleet, source, target } = pair;
  const gate = await useGate(target);
  const receiver = await fleet.start('receiver', target, { ...allow, ...gate.env });
  const sender = await fleet.start('sender', source);
  expect(await fleet.send('smos-01', body)).toMatchObject({ state: 'done', done: 1 });
  await snapshot(source, 'two');
  const [one, two] = [await guidOf(source, 'one'), await guidOf(source, 'two')];
  await gate.shut('receive');
  const job = await fleet.begin('smos-01', body);
  await gate.reached('receive');
  const bytes = async () => (await fleet.status('smos-01', job))?.bytes ?? 0;
  await expect.poll(bytes, { timeout: 30_000 }).toBeGreaterThan(200_000);
  const before = {
    isDone: false,
    held: ['zones/test@one', 'zones/test@two'],
    cursors: [one],
    sent: one,
    lag: 1,
  };
  for (let round = 0; round < 10; round += 1) {
    forge(pair, `${job}t1`, two, await bytes());
    expect(await moved(pair, job)).toEqual(before);
  }
  await sender.logged('control-message.forged');
  await receiver.logged('control-message.forged');
  // the true receive ends, and no message of it comes any more
  await receiver.end('SIGKILL');
  await gate.open('receive');
  for (let round = 0; round < 10; round += 1) {
    for (let transfer = 1; transfer < 10; transfer += 1) forge(pair, `${job}t${transfer}`, two, await bytes());
    expect(await moved(pair, job)).toMatchObject({ isDone: false, cursors: [one], sent: one, lag: 1 });
  }
  expect(await target.zfs('list', '-Hp', '-t', 'snapshot', '-o', 'name')).toBe('zones/test@one');
  await fleet.start('receiver', target, allow);
  expect(await fleet.ended('smos-01', job)).toMatchObject({ state: 'done', done: 1 });
  expect(await guidOf(target, 'two')).toBe(two);
  await expect
    .poll(() => moved(pair, job), { timeout: 15_000 })
    .toEqual({ isDone: true, held: [''], cursors: [two], sent: two, lag: 0 });
  // each transfer reports it once
  const reported = sender.lines('control-message.forged', { transfer: `${job}t1` });
  expect(reported).toHaveLength(1);
});

test('data in the source’s name costs a try, and the job is done with what the source has', async () => {
  const pair = await usePair();
  const { fleet, source, target } = pair;
  const gate = await useGate(target);
  await fleet.start('receiver', target, { ...allow, ...gate.env });
  const sender = await fleet.start('sender', source);
  await gate.shut('receive');
  const job = await fleet.begin('smos-01', body);
  await gate.reached('receive');
  const sent = async () => (await fleet.status('smos-01', job))?.bytes ?? 0;
  await expect.poll(sent, { timeout: 30_000 }).toBeGreaterThan(200_000);
  fleet.bus.nc.publish(subjects.data('smos-01', 'smos-00', `${job}t1`), data(await sent(), Buffer.alloc(1000)));
  await fleet.bus.nc.flush();
  await gate.open('receive');
  expect(await fleet.ended('smos-01', job)).toMatchObject({ state: 'done', done: 1 });
  expect(sender.lines('job.waiting', { code: 'STREAM_BROKEN' })).not.toEqual([]);
  const digest = (host: SimHost) => host.zfs('get', '-Hp', '-o', 'value', 'zfs-sim:digest', 'zones/test@one');
  expect(await digest(target)).toBe(await digest(source));
  expect((await target.processes()).filter(({ argv }) => argv.includes('receive')).length).toBeGreaterThan(1);
});

test('secrets are in recv.start and its answer alone, and no transfer’s id is in a lock', async () => {
  const pair = await usePair();
  const { fleet, source, target } = pair;
  const { nc } = fleet.bus;
  const messages: { subject: string; text: string }[] = [];
  nc.subscribe('>', {
    callback: (_, message) => void messages.push({ subject: message.subject, text: message.string() }),
  });
  await nc.flush();
  const loud = { ZPSEND_LOG_LEVEL: 'trace' };
  const gate = await useGate(target);
  const receiver = await fleet.start('receiver', target, { ...allow, ...loud, ...gate.env });
  const sender = await fleet.start('sender', source, loud);
  await gate.shut('receive');
  const job = await fleet.begin('smos-01', body);
  await gate.reached('receive');
  const zpsend = (...argv: string[]) =>
    execa(process.execPath, [program, ...argv], { env: { ...source.env, NATS_URL: natsUrl() }, extendEnv: false });
  const { locks } = locksOutputSchema.parse(JSON.parse((await zpsend('locks', '--json')).stdout));
  expect(locks).toMatchObject([
    { host: 'smos-00', dataset: 'zones/test', source: 'smos-01', transferHash: hashOfTransfer(`${job}t1`) },
  ]);
  const printed = [
    (await zpsend('locks')).stdout,
    (await zpsend('status', '--jobs', '--json')).stdout,
    (await zpsend('status', '--jobs', 'smos-00', '--json')).stdout,
    (await zpsend('hosts', '--json')).stdout,
  ];
  for (const verb of ['PING', 'INFO', 'STATS']) await nc.request(`$SRV.${verb}`);
  // a refused command does not show it either
  const start: Partial<StartRequest> = { transfer: 'transfer1', secret: `${newSecret()}!`, sourceHost: 'smos-01' };
  const refusal = await rejection(fleet.ask(subjects.receive('smos-00', 'start'), start, receiveReadySchema));
  expect(refusal.code).toBe('BAD_REQUEST');
  expect(JSON.stringify(refusal.toBody())).not.toContain(start.secret);
  await gate.open('receive');
  expect(await fleet.ended('smos-01', job)).toMatchObject({ state: 'done', done: 1 });
  await expect.poll(() => messages.some(({ subject }) => subject.endsWith('.event.job.done'))).toBe(true);

  const requests = messages.flatMap(({ subject, text }) =>
    subject === subjects.receiveFrom('smos-00', 'smos-01') ? [receiveStartSchema.parse(JSON.parse(text))] : [],
  );
  const answers = messages.flatMap(({ text }): ReceiveReady[] => {
    if (!text.includes('"window"') || !text.startsWith('{')) return [];
    const { data: ready } = receiveReadySchema.safeParse(JSON.parse(text));
    return ready ? [ready] : [];
  });
  expect([requests.length, answers.length]).toEqual([1, 1]);
  const secrets = [...requests, ...answers].map(({ secret }) => secret);
  const holding = (secret: string) =>
    messages.filter(({ text }) => text.includes(secret)).map(({ subject }) => subject.split('.')[0]);
  expect(secrets.map(holding)).toEqual([['zfs'], ['_INBOX']]);
  for (const secret of secrets) {
    for (const text of [...sender.log, ...receiver.log, ...printed]) expect(text).not.toContain(secret);
  }
  const stored = messages.filter(({ subject }) => subject.startsWith(`$KV.${locksBucket}.`));
  expect(stored.length).toBeGreaterThan(0);
  for (const { text } of stored) expect(text).not.toContain(job);
});
