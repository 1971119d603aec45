import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { Kvm } from '@nats-io/kv';
import { Objm } from '@nats-io/obj';
import { execa } from 'execa';
import { expect, onTestFinished, test } from 'vitest';
import { keepsEntries } from '../../../lib/bus/jetstream/kv-bucket.ts';
import { locksBucket, statusBucket, streamsBucket } from '../../../lib/bus/subjects.ts';
import { startNatsServer } from '../../../tools/nats-server/start.ts';
import { useBus } from '../../support/bus.ts';
import { codesOf, mentions } from '../../support/mentions.ts';
import { program } from '../../support/program.ts';

async function useSetup() {
  const server = await startNatsServer({ jetstream: true });
  onTestFinished(() => server.stop());
  const { nc } = await useBus(server.url);
  const setup = (...more: string[]) =>
    execa(process.execPath, [program, 'deploy', 'setup', '--replicas', '1', '--max-bucket-size', '8M', ...more], {
      env: { NATS_URL: server.url },
      reject: false,
    });
  const manager = await jetstreamManager(nc);
  const configOf = async (name: string) => (await manager.streams.info(name)).config;
  return { nc, setup, configOf };
}

test.each([0, 3_600_000])(
  'a lock bucket with a time to live of %d ms gets that which is wanted',
  async (ttl) => {
    const { nc, setup, configOf } = await useSetup();
    const kv = await new Kvm(jetstream(nc)).create(locksBucket, { history: 1, ttl });
    await kv.put('smos-00.tank', 'x');
    const edited = await setup('--edit');
    expect([edited.exitCode, edited.stderr]).toEqual([0, '']);
    const edit = await configOf(`KV_${locksBucket}`);
    expect(edit).toMatchObject({ max_age: 30e9, duplicate_window: 30e9, ...keepsEntries });
    const { outcomes } = JSON.parse((await setup('--json')).stdout);
    expect(outcomes).toContainEqual(expect.objectContaining({ called: locksBucket, state: 'there' }));
    // and back: what the server chooses for a new one
    expect((await setup('--edit', '--lock-seconds', '600')).exitCode).toBe(0);
    expect((await configOf(`KV_${locksBucket}`)).duplicate_window).toBe(120e9);
  },
  60_000,
);

test('a bucket with more data than wanted is named and unchanged, and the others are changed', async () => {
  const { nc, setup, configOf } = await useSetup();
  const streams = streamsBucket('alfa');
  const store = await new Objm(jetstream(nc)).create(streams);
  await store.putBlob({ name: 'waits' }, new Uint8Array(2_000_000));
  const kv = await new Kvm(jetstream(nc)).create(statusBucket, { history: 1 });
  await kv.put('alfa', 'x');
  const edit = ['--source', 'bravo', '--source', 'alfa', '--source', 'carl', '--store-size', '1M', '--edit'];
  const refused = await setup(...edit);
  expect(refused.exitCode).toBe(1);
  expect(refused.stdout).toEqual(mentions(streams, 'failed', 'max_bytes', -1, 1048576));
  expect([codesOf(refused.stderr), refused.stderr]).toEqual([['EXISTS'], mentions(streams, 'max_bytes', 1048576)]);
  expect((await configOf(`OBJ_${streams}`)).max_bytes).toBe(-1);
  expect((await store.info('waits'))?.size).toBe(2_000_000);
  for (const done of [[statusBucket, 'changed'], ...['bravo', 'carl'].map((host) => [streamsBucket(host), 'made'])])
    expect(refused.stdout.split('\n')).toContainEqual(mentions(...done));
  const json = await setup(...edit, '--json');
  expect(json.exitCode).toBe(1);
  expect(JSON.parse(json.stdout).outcomes).toContainEqual(
    expect.objectContaining({ called: streams, state: 'failed', error: expect.objectContaining({ code: 'EXISTS' }) }),
  );
}, 60_000);

test('without space for one bucket the others are created, and that one is named', async () => {
  const { setup } = await useSetup();
  const made = await setup('--source', 'alfa', '--store-size', '900T', '--source', 'bravo');
  expect(made.exitCode).toBe(1);
  expect(made.stdout.match(/: (made|failed)$/gm)).toEqual([...Array(5).fill(': made'), ': failed', ': failed']);
  expect(codesOf(made.stderr)[0]).toBe('NO_SPACE');
  expect(made.stderr).toEqual(mentions('zfs-streams-alfa'));
}, 60_000);
