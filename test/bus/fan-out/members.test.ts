import { jetstream } from '@nats-io/jetstream';
import { Kvm } from '@nats-io/kv';
import { expect, onTestFinished, test } from 'vitest';
import { inboxPrefix, permissionsOf } from '../../../lib/bus/permissions.ts';
import { hostsBucket, locksBucket, statusBucket, subjects } from '../../../lib/bus/subjects.ts';
import { fanStartedSchema, sendStatusSchema } from '../../../schemas/job.ts';
import { makeAccountFleet } from '../../support/account-fleet.ts';
import { useBus } from '../../support/bus.ts';
import { quick } from '../../support/fleet.ts';
import { ownNatsServer } from '../../support/nats-server.ts';
import { startService } from '../../support/service.ts';
import { makeSimHost } from '../../support/sim-host.ts';

/** `two` may not subscribe to what `src` sends to several. */
const hosts = {
  src: { roles: ['sender'] },
  one: { roles: ['receiver'], from: ['src'] },
  two: { roles: ['receiver'] },
  three: { roles: ['receiver'], from: ['src'] },
} satisfies Parameters<typeof makeAccountFleet>[0]['hosts'];
type Name = keyof typeof hosts | 'ops';

/** A server, and what each host needs in its environment there. */
type Setup = () => Promise<(name: Name) => NodeJS.ProcessEnv>;

const accounts: Setup = async () => {
  const fleet = await makeAccountFleet({ hosts });
  onTestFinished(() => fleet.remove());
  const server = await ownNatsServer({ config: fleet.configs['nats-1'] ?? '' });
  return (name) => ({ NATS_URL: server.url, ...fleet.env[name] });
};

const oneAccount: Setup = async () => {
  const users = Object.entries(hosts).map(([host, of]) => {
    const roles = { sender: host === 'src', receiver: host !== 'src', ...('from' in of && { from: of.from }) };
    const { publish, subscribe } = permissionsOf(host, roles);
    return `{ user: ${host}, password: pw, permissions: ${JSON.stringify({ publish, subscribe })} }`;
  });
  const config = `authorization { users: [ { user: ops, password: pw }, ${users.join(', ')} ] }`;
  const server = await ownNatsServer({ jetstream: true, config });
  return (name) => ({
    ...{ NATS_URL: server.url, NATS_USER: name, NATS_PASSWORD: 'pw' },
    ...(name !== 'ops' && { ZPSEND_INBOX_PREFIX: inboxPrefix(name) }),
  });
};

const targets = ['one', 'two', 'three'] as const;

test.each([
  ['with an account for each host', accounts],
  ['with one account', oneAccount],
])(
  'a shared read reaches the targets that it is granted to, and the others get their own: %s',
  async (_setup, use) => {
    const envOf = await use();
    const as = (name: Name) => useBus(envOf(name).NATS_URL ?? '', { host: name, env: envOf(name) });
    const ops = await as('ops');
    const buckets = new Kvm(jetstream(ops.nc));
    await buckets.create(locksBucket, { history: 1, ttl: 4000 });
    for (const bucket of [statusBucket, hostsBucket]) await buckets.create(bucket, { history: 1 });
    const start = async (service: 'sender' | 'receiver', name: keyof typeof hosts) => {
      const host = await makeSimHost(name);
      onTestFinished(() => host.remove());
      await host.zpool('create', 'pool');
      const running = await startService(service, { ...host.env, ...envOf(name), ...quick, ZPSEND_ALLOW: '*=pool' });
      onTestFinished(async () => void (await running.end('SIGTERM')));
      return { host, running };
    };
    const [src, ...others] = await Promise.all([
      start('sender', 'src'),
      ...targets.map((name) => start('receiver', name)),
    ]);
    await src.host.zfs('create', 'pool/a');
    for (const name of ['1', '2']) {
      await src.host.zfs('set', 'zfs-sim:write=1000000', 'pool/a');
      await src.host.zfs('snapshot', `pool/a@${name}`);
    }
    let received = 0;
    const spy = await as('two');
    spy.nc.subscribe(subjects.shared('src', '*'), {
      callback: (error, message) => {
        if (!error) received += message.data.length;
      },
    });
    await spy.nc.flush();
    const ask = async (subject: string, body: object) =>
      (await ops.nc.request(subject, JSON.stringify(body), { timeout: 30_000 })).json();
    const asked = { dataset: 'pool/a', to: targets.map((host) => ({ host })) };
    const { jobs } = fanStartedSchema.parse(await ask(subjects.send('src', 'start'), asked));
    for (const job of jobs) {
      const state = async () => sendStatusSchema.parse(await ask(subjects.send('src', 'status'), { job })).jobs[0];
      await expect.poll(state, { timeout: 60_000 }).toMatchObject({ state: 'done', done: 2 });
    }
    expect(src.running.lines('fan-out.not-received').map(({ target }) => target)).toEqual(['two']);
    for (const { host } of others)
      expect(await host.zfs('list', '-Hp', '-t', 'snapshot', '-o', 'name')).toBe('pool/a@1\npool/a@2');
    await spy.nc.flush();
    expect(received).toBe(0);
  },
  120_000,
);
