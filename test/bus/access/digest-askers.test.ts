import { expect, test } from 'vitest';
import type { z } from 'zod';
import { request } from '../../../lib/bus/rpc/request.ts';
import { subjects } from '../../../lib/bus/subjects.ts';
import { digestAbortedSchema, digestStartedSchema, digestStatusSchema } from '../../../schemas/digest.ts';
import { rejection } from '../../support/bus.ts';
import { configured } from '../../support/configured.ts';
import { useFleet } from '../../support/fleet.ts';
import { useNatsAccounts } from '../../support/nats-account.ts';

const natsUrl = useNatsAccounts();
const snapshot = 'pool/a@1';

/** `src` has sent pool/a to `dst`, whose receiver lets `src` write there and `near` below pool/near. */
async function useHosts(env: NodeJS.ProcessEnv = {}) {
  const fleet = await useFleet(natsUrl());
  const [src, dst] = await Promise.all([fleet.host('src'), fleet.host('dst')]);
  await Promise.all([src.zpool('create', 'pool'), dst.zpool('create', 'pool')]);
  await src.zfs('create', 'pool/a');
  await src.zfs('create', 'pool/own');
  await src.zfs('set', 'zfs-sim:write=20000000', 'pool/a');
  await src.zfs('snapshot', '-r', 'pool@1');
  await fleet.start('receiver', dst, { ZPSEND_ALLOW: 'src=pool/a,near=pool/near' });
  await fleet.start('sender', src);
  expect(await fleet.send('src', { dataset: 'pool/a', to: { host: 'dst' } })).toMatchObject({ state: 'done' });
  await fleet.start('receiver', src, env);
  const ask = <S extends z.ZodType>(subject: string, body: object, schema: S) =>
    request(fleet.bus, subject, body, schema, 20_000);
  const start = (of: string, asker: string, what = snapshot) =>
    ask(subjects.digestFrom(of, 'start', asker), { snapshot: what }, digestStartedSchema);
  const statusOf = async (of: string, asker: string, digest: string) =>
    (await ask(subjects.digestFrom(of, 'status', asker), { digest }, digestStatusSchema)).digests[0];
  return { fleet, ask, start, statusOf };
}

test('a digest is for hosts that may write the dataset, or to which it was sent; others are refused', async () => {
  const { start, statusOf } = await useHosts();
  // the source asks its target, and the target its source
  for (const [of, asker] of [
    ['dst', 'src'],
    ['src', 'dst'],
  ] as const) {
    const { digest } = await start(of, asker);
    await expect
      .poll(() => statusOf(of, asker, digest), { timeout: 30_000 })
      .toMatchObject({ state: 'done', from: asker, result: { digest: expect.any(String) } });
  }
  const refused = { code: 'NOT_ALLOWED', retryable: false };
  expect(await rejection(start('dst', 'near'))).toMatchObject({
    ...refused,
    details: { asker: 'near', dataset: 'pool/a' },
  });
  expect(await rejection(start('src', 'near'))).toMatchObject(refused);
  // what was not sent to it is not the target's to know
  expect(await rejection(start('src', 'dst', 'pool/own@1'))).toMatchObject(refused);
});

test('of other hosts’ digests one is read at a time, seen by its asker and ended by its asker alone', async () => {
  const { fleet, ask, start, statusOf } = await useHosts();
  const slow = await fleet.host('slow');
  await slow.zpool('create', 'pool');
  await slow.zfs('create', 'pool/a');
  await slow.zfs('set', 'zfs-sim:write=20000000', 'pool/a');
  await slow.zfs('snapshot', snapshot);
  await fleet.start('receiver', slow, { ZPSEND_ALLOW: 'one=pool,two=pool', ZFS_SIM_SEND_RATE: '1M' });
  const { digest } = await start('slow', 'one');
  expect(await rejection(start('slow', 'two'))).toMatchObject({ code: 'BUSY' });
  expect(await rejection(statusOf('slow', 'two', digest))).toMatchObject({ code: 'NO_SUCH_JOB' });
  const abortAs = (asker: string, id: string) =>
    ask(subjects.digestFrom('slow', 'abort', asker), { digest: id }, digestAbortedSchema);
  expect(await rejection(abortAs('two', digest))).toMatchObject({ code: 'NO_SUCH_JOB' });
  // the operator has a place all the same, which no host ends
  const own = await ask(subjects.digest('slow', 'start'), { snapshot }, digestStartedSchema);
  expect(await rejection(abortAs('one', own.digest))).toMatchObject({ code: 'NO_SUCH_JOB' });
  expect(await statusOf('slow', 'one', digest)).toMatchObject({ state: 'running' });
  expect(await abortAs('one', digest)).toEqual({ digest, aborted: true });
  await expect.poll(() => statusOf('slow', 'one', digest)).toMatchObject({ error: { code: 'ABORTED' } });
  expect(await start('slow', 'two')).toMatchObject({ host: 'slow' });
});

test('a digest shows no more than send.allow lets be sent', async () => {
  const allow = [
    { dataset: 'pool', to: 'dst', raw: 'required' },
    { dataset: 'pool/a', to: 'third' },
  ];
  const fleet = await useFleet(natsUrl());
  const src = await fleet.host('src');
  await src.zpool('create', 'pool');
  for (const dataset of ['pool/a', 'pool/plain']) await src.zfs('create', dataset);
  await src.zfs('create', '-o', 'encryption=on', '-o', 'keyformat=passphrase', 'pool/enc');
  await src.zfs('snapshot', '-r', 'pool@1');
  await fleet.start('receiver', src, configured(JSON.stringify({ send: { allow } })));
  const start = (what: object) =>
    request(fleet.bus, subjects.digestFrom('src', 'start', 'dst'), what, digestStartedSchema, 20_000);
  const refusal = async (what: object) => (await rejection(start(what))).details;
  expect(await refusal({ snapshot })).toEqual({ asker: 'dst', dataset: 'pool/a', reason: 'not-sent' });
  expect(await refusal({ snapshot, raw: true })).toMatchObject({ reason: 'not-sent' });
  expect(await refusal({ snapshot: 'pool/enc@1' })).toMatchObject({ reason: 'raw-required' });
  expect(await refusal({ snapshot: 'pool/plain@1', raw: true })).toMatchObject({ reason: 'not-encrypted' });
  expect(await start({ snapshot: 'pool/enc@1', raw: true })).toMatchObject({ host: 'src' });
});
