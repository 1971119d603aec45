import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { Kvm } from '@nats-io/kv';
import { execa } from 'execa';
import { expect } from 'vitest';
import type { Bus } from '../../lib/bus/connection/connect.ts';
import { listLocks } from '../../lib/bus/locks/locks.ts';
import { eventsStream, hostsBucket, lockKey, locksBucket, parseStoredName, subjects } from '../../lib/bus/subjects.ts';
import { fanStartedSchema } from '../../schemas/job.ts';
import { fleetOutputSchema } from '../../schemas/status.ts';
import type { NatsServer } from '../../tools/nats-server/start.ts';
import { type Fleet, useFleet } from './fleet.ts';
import { program } from './program.ts';
import type { ServiceProcess } from './service.ts';
import type { SimHost } from './sim-host.ts';
import { streamsOf } from './streams.ts';

/** Names of a host that sends, of one that receives from it, and of one that has both services. */
export interface Roles {
  readonly source: string;
  readonly target: string;
  readonly both: string;
}

/** Hosts on a NATS where each may do only what it is granted, with the buckets of `makeFleetBuckets`. */
export interface GrantedFleet {
  readonly roles: Roles;
  readonly server: NatsServer;
  /** As an administrator. */
  readonly fleet: Fleet;
  readonly source: SimHost;
  readonly target: SimHost;
  readonly services: readonly ServiceProcess[];
  /** Runs a command on the source, as that host. */
  zpsend(argv: readonly string[], env?: NodeJS.ProcessEnv): ReturnType<typeof runZpsend>;
}

/** What is granted, and to whom. */
export interface Grants {
  readonly server: NatsServer;
  /** @param name a host, or the administrator */
  envOf(name: string): NodeJS.ProcessEnv;
}

export const runZpsend = (env: NodeJS.ProcessEnv, argv: readonly string[]) =>
  execa(process.execPath, [program, ...argv], { env, extendEnv: false, reject: false });

/** A host with `pool`, and with what it is granted. */
export async function useGrantedHost(fleet: Fleet, name: string): Promise<SimHost> {
  const host = await fleet.host(name);
  await host.zpool('create', 'pool');
  return host;
}

/** Services of three hosts, and `pool/a` with two snapshots on the source. */
export async function useGrantedFleet({ server, envOf }: Grants, admin: string, roles: Roles): Promise<GrantedFleet> {
  const fleet = await useFleet(server.url, { host: admin, env: envOf(admin) });
  const [source, target, both] = await Promise.all([
    useGrantedHost(fleet, roles.source),
    useGrantedHost(fleet, roles.target),
    useGrantedHost(fleet, roles.both),
  ]);
  await source.zfs('create', 'pool/a');
  for (const name of ['1', '2']) {
    await source.zfs('set', 'zfs-sim:write=3000000', 'pool/a');
    await source.zfs('snapshot', `pool/a@${name}`);
  }
  const start = (service: 'sender' | 'receiver', host: SimHost) =>
    fleet.start(service, host, { ...envOf(host.name), ZPSEND_ALLOW: '*=pool' });
  const services = await Promise.all([start('sender', source), start('receiver', target), start('receiver', both)]);
  const zpsend = (argv: readonly string[], env: NodeJS.ProcessEnv = {}) =>
    runZpsend({ ...source.env, ...envOf(source.name), ...env }, argv);
  return { roles, server, fleet, source, target, services, zpsend };
}

const snapshotsOf = (host: SimHost, dataset: string): Promise<string> =>
  host.zfs('list', '-Hp', '-t', 'snapshot', '-o', 'name', dataset).catch(() => '');

/** Sends by a fan-out, by a policy of the bucket after an event of the stream, and through the store. */
export async function expectSends({ roles, fleet, source, target }: GrantedFleet): Promise<void> {
  const to = [{ host: roles.target }, { host: roles.both }];
  const { jobs } = await fleet.ask(subjects.send(roles.source, 'start'), { dataset: 'pool/a', to }, fanStartedSchema);
  for (const job of jobs) expect(await fleet.ended(roles.source, job)).toMatchObject({ state: 'done', done: 2 });
  await source.zfs('create', 'pool/b');
  await source.zfs('snapshot', 'pool/b@1');
  fleet.bus.nc.publish(subjects.snapshotCreated(roles.source), 'pool/b@1');
  await expect.poll(() => snapshotsOf(target, 'pool/b'), { timeout: 60_000 }).toBe('pool/b@1');
  const manager = await jetstreamManager(fleet.bus.nc);
  const unacknowledged = async () => {
    const { num_pending, num_ack_pending } = await manager.consumers.info(eventsStream, roles.source);
    return num_pending + num_ack_pending;
  };
  await expect.poll(unacknowledged, { timeout: 10_000 }).toBe(0);
  const stored = { dataset: 'pool/a', to: { host: roles.target, dataset: 'pool/stored' }, channel: 'store' };
  expect(await fleet.send(roles.source, stored)).toMatchObject({ state: 'done', done: 2 });
  await expect.poll(() => snapshotsOf(target, 'pool/stored'), { timeout: 60_000 }).toBe('pool/stored@1\npool/stored@2');
  const streams = await streamsOf(fleet.bus, roles.source);
  const waiting = async () => (await streams.names()).filter((name) => parseStoredName(name)?.kind !== 'known');
  await expect.poll(waiting, { timeout: 60_000 }).toEqual([]);
}

/** Every host sees who writes where. @param bus of a host */
export async function expectSeesLocks({ roles, fleet }: GrantedFleet, bus: Bus): Promise<void> {
  const lock = { owner: 'o', nonce: 'n', transferHash: '0123456789abcdef', source: roles.source };
  const locks = await new Kvm(jetstream(fleet.bus.nc)).open(locksBucket);
  await locks.put(lockKey(roles.both, 'pool/x'), JSON.stringify(lock));
  expect(await listLocks(bus)).toContainEqual(expect.objectContaining({ host: roles.both, dataset: 'pool/x' }));
}

/** Runs commands on the source, which are all granted. @returns what each printed */
export async function expectCommands({ roles, zpsend }: GrantedFleet, commands: readonly string[][]) {
  const printed: string[] = [];
  for (const argv of commands) {
    const { exitCode, stderr, stdout } = await zpsend(argv);
    expect([argv[0], exitCode, stderr.includes('ermission')], stderr).toEqual([argv[0], 0, false]);
    printed.push(stdout);
    if (argv[1] !== '--json') continue;
    const { rows } = fleetOutputSchema.parse(JSON.parse(stdout));
    const ofA = rows.filter(({ dataset, into }) => dataset === 'pool/a' && into === dataset);
    expect(ofA.map(({ target, state }) => [target, state])).toEqual(
      [roles.target, roles.both].sort().map((host) => [host, 'current']),
    );
  }
  return printed;
}

/** Each host has taken its name, and neither a service nor the server has seen anything refused. */
export async function expectNothingRefused({ roles, fleet, services, server }: GrantedFleet): Promise<void> {
  const names = await new Kvm(jetstream(fleet.bus.nc)).open(hostsBucket);
  for (const host of Object.values(roles))
    expect((await names.get(host))?.json()).toMatchObject({ machine: expect.any(String) });
  for (const { log } of services) expect(log.join('\n')).not.toMatch(/[Pp]ermission/);
  expect(server.logs.filter((line) => /Violation/.test(line))).toEqual([]);
}
