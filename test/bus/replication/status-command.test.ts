import { jetstream } from '@nats-io/jetstream';
import { Kvm } from '@nats-io/kv';
import { execa } from 'execa';
import { expect, onTestFinished, test } from 'vitest';
import { readStatus } from '../../../lib/bus/status/read.ts';
import { statusBucket, statusKey } from '../../../lib/bus/subjects.ts';
import { fleetOutputSchema } from '../../../schemas/status.ts';
import { useBus } from '../../support/bus.ts';
import { useFleet } from '../../support/fleet.ts';
import { codesOf, mentions } from '../../support/mentions.ts';
import { useNatsAccounts } from '../../support/nats-account.ts';
import { ownNatsServer } from '../../support/nats-server.ts';
import { program } from '../../support/program.ts';
import {
  allow,
  beginLong,
  expectRow,
  rows,
  slow,
  snapshot,
  to,
  useStatusWorld,
  zpsend,
} from '../../support/status-world.ts';

const natsUrl = useNatsAccounts();

test('zpsend status shows the fleet, passes over what others keep in the bucket, and forgets a row', async () => {
  const world = await useStatusWorld(natsUrl(), {});
  const [target] = world.targets;
  await snapshot(world.source, 1_000_000, '1');
  await world.fleet.send(world.source.name, to(target));
  await expectRow(world, target).toMatchObject({ state: 'current' });
  const kv = await new Kvm(jetstream(world.fleet.bus.nc)).open(statusBucket);
  await kv.put(`${world.source.name}.delivered.x`, 'not ours');
  await kv.put(`${world.source.name}.to.x.pool/odd`, '{"written":"never"}');

  const people = await zpsend(world, 'status');
  expect(people.stdout).toMatch(/^SOURCE +DATASET +TARGET +NEWEST SENT +LAG +BYTES +TIME +STATE +RATE +AS OF +ERROR$/m);
  expect(people.stdout).toMatch(new RegExp(`^${world.source.name} +pool/a +${target?.name} +@1 +0 .*current`, 'm'));
  const json = await zpsend(world, 'status', '--json');
  const mine = fleetOutputSchema
    .parse(JSON.parse(json.stdout))
    .rows.filter(({ source }) => source === world.source.name);
  expect(mine).toMatchObject([{ dataset: 'pool/a', state: 'current' }]);
  expect((await kv.get(mine[0]?.key ?? ''))?.json()).toMatchObject({ sent: { name: '1' } });

  const forget = () => zpsend(world, 'status', '--forget', 'pool/a', target?.name ?? '');
  expect((await forget()).exitCode).toBe(0);
  expect(await rows(world)).toEqual([]);
  const nothing = await forget();
  expect([nothing.exitCode, codesOf(nothing.stderr)]).toEqual([1, ['NO_SUCH_DATASET']]);
});

test('zpsend status -w --json prints what changes', async () => {
  const world = await useStatusWorld(natsUrl(), slow);
  const watching = zpsend(world, 'status', '-w', '--json');
  onTestFinished(async () => {
    watching.kill('SIGTERM');
    await watching;
  });
  const states: string[] = [];
  const follow = (async () => {
    for await (const line of watching.iterable()) {
      const { rows: reported } = fleetOutputSchema.parse(JSON.parse(line));
      states.push(...reported.filter(({ source }) => source === world.source.name).map(({ state }) => state));
    }
  })().catch(() => {});
  const job = await beginLong(world);
  await world.fleet.ended(world.source.name, job);
  await expect.poll(() => states.at(-1), { timeout: 15_000 }).toBe('current');
  expect(states).toContain('running');
  watching.kill('SIGTERM');
  await follow;
}, 120_000);

test('without a bucket the command prints that, and a sender that may not make one continues', async () => {
  const config = `authorization { users: [
    { user: admin, password: pw }
    { user: host, password: pw, permissions: { publish: { deny: ["$JS.API.STREAM.CREATE.KV_${statusBucket}"] } } }
  ] }`;
  const guarded = await ownNatsServer({ jetstream: true, config });
  const login = { NATS_URL: guarded.url, NATS_USER: 'host', NATS_PASSWORD: 'pw' };
  const bus = await useBus(guarded.url, { env: { ...login, NATS_USER: 'admin' } });
  const fleet = await useFleet(guarded.url.replace('//', '//admin:pw@'));
  const [source, target] = [await fleet.host('kept-src'), await fleet.host('kept-dst')];
  for (const host of [source, target]) await host.zpool('create', 'pool');
  await source.zfs('create', 'pool/a');
  await snapshot(source, 1_000_000, '1');
  const sender = await fleet.start('sender', source, login);
  await fleet.start('receiver', target, { ...login, ...allow });
  const request = { dataset: 'pool/a', to: { host: 'kept-dst' } };
  expect((await fleet.send('kept-src', request)).state).toBe('done');
  await sender.logged('status.write-failed');
  const shown = await execa(process.execPath, [program, 'status'], {
    ...{ env: { ...source.env, ...login }, extendEnv: false, reject: false },
  });
  expect([shown.exitCode, shown.stdout, shown.stderr]).toEqual([0, '', mentions('nats kv add')]);

  await new Kvm(jetstream(bus.nc)).create(statusBucket, { history: 1 });
  const named = { source: 'kept-src', target: 'kept-dst', dataset: 'pool/a', into: 'pool/a' };
  const kept = async () => (await readStatus(bus))?.found.map(statusKey);
  await expect.poll(kept, { timeout: 30_000 }).toEqual([statusKey(named)]);
  await sender.logged('status.written-again');
}, 120_000);
