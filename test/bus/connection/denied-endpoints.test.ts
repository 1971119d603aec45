import { execa } from 'execa';
import { describe, expect, onTestFinished, test } from 'vitest';
import { makeBucket } from '../../../lib/bus/jetstream/kv-bucket.ts';
import { type Permissions, permissionsOf } from '../../../lib/bus/permissions.ts';
import { request } from '../../../lib/bus/rpc/request.ts';
import { serve } from '../../../lib/bus/rpc/serve.ts';
import { hostsBucket, subjects } from '../../../lib/bus/subjects.ts';
import { infoSchema, snapshotsRequestSchema } from '../../../schemas/host.ts';
import { watchEndpoints } from '../../../services/host/watch-endpoints.ts';
import type { NatsServer, StartOptions } from '../../../tools/nats-server/start.ts';
import { makeAccountFleet } from '../../support/account-fleet.ts';
import { rejection, useBus } from '../../support/bus.ts';
import { quick } from '../../support/fleet.ts';
import { mentions } from '../../support/mentions.ts';
import { ownNatsServer } from '../../support/nats-server.ts';
import { useNotify } from '../../support/notify.ts';
import { program } from '../../support/program.ts';
import { type ServiceProcess, startService } from '../../support/service.ts';
import { makeSimHost } from '../../support/sim-host.ts';

const host = 'smos-00';
const exact = permissionsOf(host, { sender: true, receiver: true });
const without = (...taken: string[]): Permissions => ({
  ...exact,
  subscribe: exact.subscribe.filter((subject) => !taken.includes(subject)),
});
/** All of the host but what its receiver is asked on. */
const lessReceive: Permissions = {
  ...exact,
  subscribe: [
    ...without(`zfs.${host}.>`).subscribe,
    ...['info', 'info.>', 'snapshots', 'snapshots.>', 'digest.>', 'event.>'].map((what) => `zfs.${host}.${what}`),
  ],
};

const configOf = (permissions: Permissions | undefined): string => {
  const list = (subjects: readonly string[]) => `{ allow: ${JSON.stringify(subjects)} }`;
  const more =
    permissions &&
    `, permissions: { publish: ${list(permissions.publish)}, subscribe: ${list(permissions.subscribe)} }`;
  return `authorization { users: [{ user: admin, password: pw }, { user: ${host}, password: pw${more ?? ''} }] }`;
};

/** A NATS whose permissions a test changes, as an administrator does. */
async function usePermissions(first: Permissions | undefined) {
  const options: StartOptions = { jetstream: true, config: configOf(first) };
  const server = await ownNatsServer(options);
  const become = async (permissions: Permissions, how: 'reload' | 'restart'): Promise<void> => {
    options.config = configOf(permissions);
    await server[how]();
  };
  const envOf = (user: string) => ({ NATS_URL: server.url, NATS_USER: user, NATS_PASSWORD: 'pw' });
  const env = { ...envOf(host), ZPSEND_INBOX_PREFIX: `_INBOX.${host}` };
  return { server, become, env, admin: envOf('admin') };
}

async function useService(
  name: 'sender' | 'receiver',
  env: NodeJS.ProcessEnv,
  { waitReady = false, as = host } = {},
): Promise<ServiceProcess> {
  const sim = await makeSimHost(as);
  onTestFinished(() => sim.remove());
  await sim.zpool('create', 'zones');
  const all = { ...sim.env, ...quick, ZPSEND_ALLOW: '*=zones', ...env };
  const service = await startService(name, all, { waitReady });
  onTestFinished(async () => void (await service.end('SIGKILL')));
  return service;
}

const errorsOf = ({ log }: ServiceProcess): string[] =>
  log.map((line) => JSON.parse(line)).flatMap(({ level, msg }) => (level >= 50 ? [String(msg)] : []));
/** With what the service ends. */
const finalErrorsOf = (service: ServiceProcess): string[] =>
  errorsOf(service).filter((text) => text.startsWith('stopping: '));

/** What names this host’s user, its subject and what to do. */
const whatToDo = (...subject: (string | number)[]) =>
  mentions(...subject, host, `zpsend deploy permissions ${host}`, 'zpsend deploy accounts');

const setups = {
  /** In one account, and with an account for each host: what a key of smos-12 may do. */
  'one account': async (): Promise<{ server: NatsServer; env: NodeJS.ProcessEnv }> => {
    const others = permissionsOf('smos-12', { sender: true, receiver: true });
    const { server, env } = await usePermissions(others);
    return { server, env: { ...env, ZPSEND_INBOX_PREFIX: '_INBOX.smos-12' } };
  },
  'an account each': async () => {
    const fleet = await makeAccountFleet({ hosts: { [host]: {}, 'smos-12': {} } });
    onTestFinished(() => fleet.remove());
    const server = await ownNatsServer({ config: fleet.configs['nats-1'] ?? '' });
    return { server, env: { NATS_URL: server.url, ...fleet.env['smos-12'] } };
  },
};

describe.each(Object.keys(setups) as (keyof typeof setups)[])(
  'a service with the key of another host, in %s',
  (setup) => {
    test.each(['receiver', 'sender'] as const)('(a %s) ends with 2, and serves nothing meanwhile', async (name) => {
      const { env } = await setups[setup]();
      const { env: systemd, lines } = await useNotify();
      const service = await useService(name, { ...env, ...systemd });
      await service.logged('service.stopped');
      expect(await service.end()).toBe(2);
      expect(finalErrorsOf(service)).toEqual([whatToDo(`zfs.${host}.info`)]);
      expect(service.lines('service.ready')).toEqual([]);
      expect(lines().filter((line) => line.startsWith(`STATUS=${name} on`))).toEqual([]);
      expect(lines().at(-1)).toMatch(/^STATUS=stopping: NOT_ALLOWED/);
    });
  },
);

test('a service that may not have all of its requests ends with 2, and names the subject', async () => {
  const { env } = await usePermissions(lessReceive);
  const service = await useService('receiver', env);
  await service.logged('service.stopped');
  expect(await service.end()).toBe(2);
  expect(finalErrorsOf(service)).toEqual([whatToDo(`zfs.${host}.recv.`)]);
  expect(finalErrorsOf(service)[0]).toEqual(mentions(`user ${host}`));
});

test('a command whose own sender may not get its requests reports that, too', async () => {
  const { env } = await usePermissions(without(`zfs.${host}.>`));
  const sim = await makeSimHost(host);
  onTestFinished(() => sim.remove());
  await sim.zpool('create', 'zones');
  await sim.zfs('create', 'zones/a');
  await sim.zfs('snapshot', 'zones/a@1');
  const { exitCode, stderr } = await execa(process.execPath, [program, 'send', 'zones/a', 'smos-12'], {
    env: { ...sim.env, ...env },
    extendEnv: false,
    reject: false,
  });
  expect([exitCode, stderr]).toEqual([1, whatToDo(`zfs.${host}.`)]);
});

test.each([
  ['may do everything', undefined],
  ['may do what its host needs, and more', { ...exact, subscribe: ['>'] }],
  [
    'gets no policies, no host names and no shared data, and is not found by discovery',
    without('$SRV.>', '$KV.zfs-policies.>', `$KV.${hostsBucket}.${host}`, `zfs-data.*.${host}.*`),
  ],
])('a service whose user %s is ready, and logs no error', async (_what, permissions) => {
  const { env, admin } = await usePermissions(permissions);
  await makeBucket(await useBus(admin.NATS_URL, { env: admin }), 'zfs-locks', {
    ...{ description: 'locks', ttl: 4000, keepsEntries: true },
  });
  for (const name of ['receiver', 'sender'] as const) {
    const service = await useService(name, env, { waitReady: true });
    expect(errorsOf(service)).toEqual([]);
    expect(await service.end()).toBe(0);
  }
});

test.each(['reload', 'restart'] as const)(
  'permissions that a %s takes away while a service runs are reported once, as is their return',
  async (how) => {
    const { env, admin, become } = await usePermissions(exact);
    const asker = await useBus(admin.NATS_URL, { env: admin });
    await makeBucket(asker, 'zfs-locks', { description: 'locks', ttl: 4000, keepsEntries: true });
    const { env: systemd, lines, shows } = await useNotify();
    const service = await useService('receiver', { ...env, ...systemd }, { waitReady: true });
    const asked = () => request(asker, subjects.info(host), {}, infoSchema);
    expect(await asked()).toMatchObject({ host });
    await become(without(`zfs.${host}.>`), how);
    await service.logged('nats.denied');
    await shows(/^STATUS=receiver on .*user smos-00 .*zfs\.smos-00\./, lines().length);
    await expect.poll(() => asker.connected).toBe(true);
    expect(await rejection(asked())).toMatchObject({ code: 'UNREACHABLE' });
    await become(without(`zfs.${host}.>`), 'restart');
    await expect.poll(() => service.lines('nats.connected').length).toBe(how === 'restart' ? 2 : 1);
    const before = lines().length;
    await shows(/^STATUS=receiver on .*user smos-00 .*zfs\.smos-00\./, before + 2);
    expect(errorsOf(service)).toEqual([whatToDo(`zfs.${host}.`)]);
    const denials = service.lines('nats.error').filter(({ msg }) => msg.includes(`"zfs.${host}`));
    expect(denials, 'one line for all').toEqual([]);
    await become(exact, 'restart');
    await service.logged('nats.permitted');
    await expect.poll(() => asked().catch(() => undefined)).toMatchObject({ host });
    await shows(/^STATUS=receiver on [^ ]*$/, lines().length);
  },
);

/** Endpoints a, b and c of a host whose permissions a test changes, watched by a quick clock. */
async function useWatched() {
  const { env, admin, become, server } = await usePermissions(exact);
  const [bus, asker] = [await useBus(server.url, { env }), await useBus(server.url, { env: admin })];
  const [reported, again] = [Promise.withResolvers<string>(), Promise.withResolvers<string>()];
  const answer = async () => ({ ok: true });
  const endpoints = ['a', 'b', 'c'].map((name) =>
    serve(bus, { name, subject: `zfs.${host}.${name}`, queue: 'x', request: snapshotsRequestSchema, handle: answer }),
  );
  const errors: string[] = [];
  const log = {
    error: (_event: string, text: string) => {
      errors.push(text);
      reported.resolve(text);
    },
    info: (_event: string, text: string) => again.resolve(text),
  };
  const watch = watchEndpoints({ host, bus, endpoints, log: log as never }, 50);
  onTestFinished(() => watch.stop());
  expect(await watch.first).toBeUndefined();
  const asked = (name: string) => request(asker, `zfs.${host}.${name}`, {}, infoSchema.loose().partial());
  const denials = (): string[] =>
    server.logs.flatMap((line) => /Subscription Violation.*zfs\.smos-00\.([abc])\b/.exec(line)?.[1] ?? []);
  return { bus, become, endpoints, watch, asked, denials, reported, again, errors };
}

test('what is denied is asked for again by the clock, one subject at a time, and all of it when that is allowed', async () => {
  const { become, watch, asked, denials, reported, again, errors } = await useWatched();
  await become(without(`zfs.${host}.>`), 'reload');
  // the server denies one by one, in any order, and the first is reported at once
  expect(await reported.promise).toEqual(whatToDo(`zfs.${host}.`));
  await expect.poll(() => watch.denial?.message).toEqual(whatToDo(`zfs.${host}.a`, 2, `zfs.${host}.>`));
  expect(watch.denial).toMatchObject({
    code: 'NOT_ALLOWED',
    details: { reason: 'subscription-denied', host, subject: `zfs.${host}.a` },
  });
  await expect.poll(() => denials().length).toBeGreaterThan(5);
  expect(denials().slice(0, 6).join('')).toMatch(/^(abc|bca|cab){2}$/);
  expect(errors.length).toBe(1);
  await become(exact, 'reload');
  await again.promise;
  expect(watch.denial).toBeUndefined();
  for (const name of ['a', 'b', 'c']) expect(await asked(name)).toEqual({ ok: true });
});

test.each(['a', 'b', 'c'])('of denied subjects %s is served as soon as it alone is allowed', async (allowed) => {
  const { become, watch, asked, reported } = await useWatched();
  await become(without(`zfs.${host}.>`), 'reload');
  await reported.promise;
  const some = without(`zfs.${host}.>`);
  await become({ ...some, subscribe: [...some.subscribe, `zfs.${host}.${allowed}`] }, 'reload');
  await expect.poll(() => asked(allowed).catch(() => undefined)).toEqual({ ok: true });
  expect(watch.denial).toMatchObject({ code: 'NOT_ALLOWED' });
});

test('an endpoint that was stopped is not subscribed again', async () => {
  const { bus, endpoints, asked } = await useWatched();
  const [first] = endpoints;
  expect(await asked('a')).toEqual({ ok: true });
  first?.stop();
  first?.subscribeAgain();
  await bus.nc.flush();
  expect(await rejection(asked('a'))).toMatchObject({ code: 'UNREACHABLE' });
});

test('a watch that is stopped while it tries one subject leaves the others alone', async () => {
  const { bus } = await useWatched();
  const [tried, others] = [Promise.withResolvers<void>(), [] as string[]];
  const deniedOne = (subject: string, subscribeAgain: (one: { isDenied: boolean }) => void) => {
    const one = {
      stats: { name: subject, subject, queue: '', requests: 0, errors: 0, lastError: '', processing: 0 },
      isDenied: true,
      onDenied: () => {},
      subscribeAgain: () => subscribeAgain(one),
      stop: () => {},
    };
    return one;
  };
  const first = deniedOne('zfs.x.a', (one) => {
    one.isDenied = false;
    watch.stop();
    tried.resolve();
  });
  const second = deniedOne('zfs.x.b', () => void others.push('zfs.x.b'));
  const watch = watchEndpoints({ host, bus, endpoints: [first, second], log: { error: () => {}, info: () => {} } }, 20);
  await tried.promise;
  // the watch waits for an earlier answer than these
  await bus.nc.flush();
  await bus.nc.flush();
  expect(others).toEqual([]);
});
