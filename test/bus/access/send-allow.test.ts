import { expect, test } from 'vitest';
import { request } from '../../../lib/bus/rpc/request.ts';
import { subjects } from '../../../lib/bus/subjects.ts';
import { sendStartedSchema } from '../../../schemas/job.ts';
import { planPartSchema } from '../../../schemas/plan.ts';
import { rejection } from '../../support/bus.ts';
import { configured } from '../../support/configured.ts';
import { useFleet } from '../../support/fleet.ts';
import { mentions } from '../../support/mentions.ts';
import { useNatsAccounts } from '../../support/nats-account.ts';

const natsUrl = useNatsAccounts();

const rules = [
  { dataset: 'pool/vm', to: 'dst' },
  { dataset: 'pool/vm/secret', to: 'dst', raw: 'required' },
  { dataset: 'pool/shared', to: 'dst', from: 'other' },
];

/** A source with these rules, and one target that takes everything. */
async function useHosts() {
  const fleet = await useFleet(natsUrl());
  const [src, dst] = await Promise.all([fleet.host('src'), fleet.host('dst')]);
  await Promise.all([src.zpool('create', 'pool'), dst.zpool('create', 'pool')]);
  await src.zfs('create', 'pool/vm');
  await src.zfs('create', '-o', 'encryption=on', '-o', 'keyformat=passphrase', 'pool/vm/secret');
  await src.zfs('create', 'pool/vm/secret/open');
  await src.zfs('create', 'pool/shared');
  await src.zfs('create', 'pool/other');
  await src.zfs('snapshot', '-r', 'pool@1');
  await fleet.start('receiver', dst, { ZPSEND_ALLOW: '*=pool' });
  await fleet.start('sender', src, configured(JSON.stringify({ send: { allow: rules } })));
  const there = async () =>
    (await dst.zfs('list', '-Hp', '-t', 'snapshot', '-o', 'name')).split('\n').filter((name) => name !== '');
  return { fleet, src, dst, there };
}

const to = { host: 'dst' };

test('what no rule names is not sent and not planned, with the rule to add; what one names goes', async () => {
  const { fleet, there } = await useHosts();
  const refused = { code: 'NOT_ALLOWED', retryable: false, details: { dataset: 'pool/other', to: 'dst' } };
  const error = await rejection(fleet.begin('src', { dataset: 'pool/other@1', to }));
  expect(error).toMatchObject(refused);
  expect(error.message).toEqual(mentions('{dataset: "pool/other", to: "dst"}'));
  const plan = request(fleet.bus, subjects.send('src', 'plan'), { dataset: 'pool/other', to }, planPartSchema);
  expect(await rejection(plan)).toMatchObject(refused);
  const elsewhere = { dataset: 'pool/vm', to: { host: 'third' } };
  expect(await rejection(fleet.begin('src', elsewhere))).toMatchObject({ code: 'NOT_ALLOWED' });
  expect(await fleet.send('src', { dataset: 'pool/vm', to })).toMatchObject({ state: 'done', done: 1 });
  expect(await there()).toEqual(['pool/vm@1']);
});

test('raw: required lets nothing of it leave in the clear, by a wish or as a part of a package', async () => {
  const { fleet, dst, there } = await useHosts();
  const plain = { dataset: 'pool/vm/secret', to, stream: { raw: false } };
  expect(await rejection(fleet.begin('src', plain))).toMatchObject({
    code: 'NOT_ALLOWED',
    details: { rule: 'pool/vm/secret' },
  });
  // the request is for the whole package, which has its own rule
  const whole = { dataset: 'pool/vm', to, package: 'replication', stream: { raw: false } };
  const job = await fleet.send('src', whole);
  expect(job).toMatchObject({ state: 'failed', error: { code: 'NOT_ALLOWED', details: { rule: 'pool/vm/secret' } } });
  expect(await there()).toEqual(['pool/vm@1']);
  const { stream: _, ...raw } = whole;
  expect(await fleet.send('src', raw)).toMatchObject({ state: 'done' });
  expect(await dst.zfs('get', '-Hpo', 'value', 'encryption', 'pool/vm/secret')).not.toBe('off');
});

test('another host orders on its own subject, and only what a rule names for it', async () => {
  const { fleet, there } = await useHosts();
  const order = (from: string, dataset: string) =>
    request(fleet.bus, subjects.sendFrom('src', from), { dataset, to }, sendStartedSchema, 30_000);
  const refusal = await rejection(order('other', 'pool/vm'));
  expect(refusal).toMatchObject({ code: 'NOT_ALLOWED', message: mentions('other', 'src', 'pool/vm', 'dst') });
  expect(await rejection(order('third', 'pool/shared'))).toMatchObject({ code: 'NOT_ALLOWED' });
  expect(await rejection(fleet.begin('src', { dataset: 'pool/shared', to }))).toMatchObject({ code: 'NOT_ALLOWED' });
  const resolution = { dataset: 'pool/shared', to, conflict: 'rotate' };
  const cleared = request(fleet.bus, subjects.sendFrom('src', 'other'), resolution, sendStartedSchema, 30_000);
  expect(await rejection(cleared)).toMatchObject({ code: 'NOT_ALLOWED', details: { conflict: 'rotate' } });
  const { job } = await order('other', 'pool/shared');
  expect(await fleet.ended('src', job)).toMatchObject({ state: 'done', done: 1 });
  expect(await there()).toEqual(['pool/shared@1']);
});

/** A source whose two senders have these rules, with pool/a, which takes seconds to send, and a target that takes everything. */
async function useTwoSenders(...allow: [object[], object[]]) {
  const fleet = await useFleet(natsUrl());
  const [src, dst] = await Promise.all([fleet.host('src'), fleet.host('dst')]);
  await Promise.all([src.zpool('create', 'pool'), dst.zpool('create', 'pool')]);
  await src.zfs('create', 'pool/a');
  await src.zfs('set', 'zfs-sim:write=16000000', 'pool/a');
  await src.zfs('snapshot', 'pool/a@1');
  await fleet.start('receiver', dst, { ZPSEND_ALLOW: '*=pool' });
  const slow = { ZFS_SIM_SEND_RATE: '4M' };
  const senders = await Promise.all(
    allow.map((rules) =>
      fleet.start('sender', src, { ...configured(JSON.stringify({ send: { allow: rules } })), ...slow }),
    ),
  );
  /** Kills the sender that is in the middle of a job. */
  const killRunning = async () => {
    const sending = senders.map((one) => one.logged('step.ready').then(() => one));
    await (await Promise.race(sending)).end('SIGKILL');
  };
  /** How the successor of a job ends; no sender knows it between the death and the successor. */
  const successorOf = async (id: string) => {
    const known = () => fleet.status('src', id).catch(() => undefined);
    await expect.poll(known, { timeout: 60_000 }).toMatchObject({ takesOver: id, ended: expect.any(String) });
    return known();
  };
  return { fleet, senders, killRunning, successorOf };
}

test('a takeover continues what another host ordered, by the rules for that host', async () => {
  const rules = [{ dataset: 'pool/a', to: 'dst', from: 'other' }];
  const { fleet, killRunning, successorOf } = await useTwoSenders(rules, rules);
  const asked = { dataset: 'pool/a', to };
  const { job } = await request(fleet.bus, subjects.sendFrom('src', 'other'), asked, sendStartedSchema, 30_000);
  await killRunning();
  expect(await successorOf(job)).toMatchObject({ from: 'other', state: 'done', done: 1 });
});

test('what the rules of the other sender refuse ends with NOT_ALLOWED once its sender has died', async () => {
  const [open, shut] = [
    { dataset: 'pool/a', to: 'dst' },
    { dataset: 'pool/a', to: 'third' },
  ];
  const { fleet, senders, killRunning, successorOf } = await useTwoSenders([open], [shut]);
  const instance = senders[0]?.lines('service.ready')[0]?.instance ?? '';
  const start = subjects.instance(subjects.send('src', 'start'), instance);
  const { job } = await fleet.ask(start, { dataset: 'pool/a', to }, sendStartedSchema);
  await killRunning();
  const refused = { code: 'NOT_ALLOWED', details: { rule: 'pool/a' } };
  // before anything was planned
  expect(await successorOf(job)).toMatchObject({ state: 'failed', datasets: { total: 0 }, error: refused });
});
