import { execa } from 'execa';
import { describe, expect, onTestFinished, test } from 'vitest';
import { subjects } from '../../../lib/bus/subjects.ts';
import { type Check, doctorOutputSchema } from '../../../schemas/output.ts';
import { type NatsServer, startNatsServer } from '../../../tools/nats-server/start.ts';
import { makeAccountFleet } from '../../support/account-fleet.ts';
import { useBus } from '../../support/bus.ts';
import { quick } from '../../support/fleet.ts';
import { mentions } from '../../support/mentions.ts';
import { program } from '../../support/program.ts';
import { startService } from '../../support/service.ts';
import { makeSimHost } from '../../support/sim-host.ts';

/** The rows of doctor about the servers, for a host. */
async function doctor(server: NatsServer, env: NodeJS.ProcessEnv, host = 'alfa'): Promise<Check[]> {
  const { stdout } = await execa(process.execPath, [program, 'doctor', '--json'], {
    env: { PATH: process.env.PATH, NATS_URL: server.url, ZPSEND_HOST: host, ...env },
    extendEnv: false,
    reject: false,
  });
  const { checks } = doctorOutputSchema.parse(JSON.parse(stdout));
  return checks.filter(({ what }) => ['nats-server', 'account', 'bounds', 'answers'].includes(what));
}

async function started(...options: Parameters<typeof startNatsServer>): Promise<NatsServer> {
  const server = await startNatsServer(...options);
  onTestFinished(() => server.stop());
  return server;
}

async function receiver(name: string, env: NodeJS.ProcessEnv): Promise<void> {
  const host = await makeSimHost(name);
  onTestFinished(() => host.remove());
  const running = await startService('receiver', { ...host.env, ...quick, ...env });
  onTestFinished(async () => void (await running.end('SIGTERM')));
}

describe('in one account', () => {
  test('doctor names the other hosts, and buckets without bounds', async () => {
    const server = await started({ jetstream: true });
    for (const name of ['bravo', 'carl']) await receiver(name, { NATS_URL: server.url });
    const checks = await doctor(server, {});
    expect(checks).toContainEqual({
      what: 'account',
      result: 'note',
      found: mentions('alfa', 'bravo', 'carl', '$G'),
      remedy: mentions('zpsend deploy accounts'),
    });
    expect(checks).toContainEqual(
      expect.objectContaining({
        what: 'bounds',
        result: 'note',
        found: mentions('zfs-hosts'),
      }),
    );
    const setup = [
      'deploy',
      'setup',
      '--source',
      'alfa',
      '--replicas',
      '1',
      '--max-bucket-size',
      '8M',
      '--store-size',
      '8M',
      '--edit',
    ];
    const made = await execa(process.execPath, [program, ...setup], { env: { NATS_URL: server.url } });
    expect(made.exitCode).toBe(0);
    expect((await doctor(server, {})).map(({ what }) => what)).not.toContain('bounds');
  }, 60_000);

  test('doctor notes a JetStream that accepts unknown fields', async () => {
    const server = await started({ jetstream: true, config: 'jetstream { strict: false }' });
    expect(await doctor(server, {})).toContainEqual({
      what: 'nats-server',
      result: 'note',
      found: expect.stringMatching(/strict|nats-server 2\.11/),
      remedy: expect.any(String),
    });
    const strict = await started({ jetstream: true, config: 'jetstream { strict: true }' });
    expect(JSON.stringify(await doctor(strict, {}))).not.toContain('strict');
  }, 60_000);

  test('doctor reports that a request reaches several instances of a host', async () => {
    const server = await started({ jetstream: true });
    await receiver('alfa', { NATS_URL: server.url });
    expect((await doctor(server, {})).map(({ what }) => what)).not.toContain('answers');
    const bus = await useBus(server.url);
    const { data } = await bus.nc.request(subjects.info('alfa'), '{}', { timeout: 10_000 });
    // a subject that is imported twice reaches one more of the group
    for (const queue of ['one', 'other'])
      bus.nc.subscribe(subjects.info('alfa'), { queue, callback: (_error, message) => void message.respond(data) });
    await bus.nc.flush();
    expect(await doctor(server, {})).toContainEqual({
      what: 'answers',
      result: 'bad',
      found: expect.stringMatching(/\balfa\b.*\b[23]\b/),
      remedy: expect.any(String),
    });
  }, 60_000);
});

test('with an account for each host, doctor warns neither a host nor an admin of others', async () => {
  const fleet = await makeAccountFleet({
    hosts: { alfa: {}, bravo: {} },
    more: (folder) => ({
      jetstream: { folder: `${folder}/jetstream` },
      buckets: { storeSize: '16M', maxBucketSize: '8M' },
    }),
  });
  onTestFinished(() => fleet.remove());
  const server = await started({ config: fleet.configs['nats-1'] ?? '' });
  const ops = { NATS_URL: server.url, ...fleet.env.ops };
  await execa(process.execPath, [program, 'deploy', 'setup', fleet.file], { env: ops });
  await receiver('bravo', { NATS_URL: server.url, ...fleet.env.bravo });
  for (const name of ['alfa', 'ops', 'looker']) {
    const checks = await doctor(server, fleet.env[name] ?? {}, name);
    expect([name, checks.filter(({ what }) => what !== 'nats-server')]).toEqual([name, []]);
    expect(JSON.stringify(checks)).not.toContain('strict');
  }
}, 60_000);
