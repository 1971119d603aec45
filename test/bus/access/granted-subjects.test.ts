import { execa } from 'execa';
import { expect, onTestFinished, test } from 'vitest';
import { doctorOutputSchema } from '../../../schemas/output.ts';
import {
  expectCommands,
  expectNothingRefused,
  expectSeesLocks,
  expectSends,
  useGrantedFleet,
} from '../../support/granted-fleet.ts';
import { mentions } from '../../support/mentions.ts';
import { usePermittedHosts } from '../../support/permitted-hosts.ts';
import { program } from '../../support/program.ts';
import { makeSimHost } from '../../support/sim-host.ts';

const granted = usePermittedHosts();

test('with what the command prints, and no more, hosts send, fan out, receive, lock and answer requests', async () => {
  const fleet = await useGrantedFleet(granted(), 'admin', { source: 'smos-01', target: 'smos-00', both: 'smos-02' });
  await expectSends(fleet);
  await expectSeesLocks(fleet, await granted().as('smos-00'));
  await expectCommands(fleet, [
    ['verify', '--data', 'pool/a', 'smos-00'],
    ['hosts'],
    ['snapshots', 'smos-02'],
    ['plan', 'pool/a', 'smos-02'],
    ['store', 'ls', 'smos-01'],
    ['status', '--json'],
    ['status', '--forget', 'pool/a', 'smos-02'],
  ]);
  await expectNothingRefused(fleet);
}, 120_000);

async function doctor(name: string, more: NodeJS.ProcessEnv) {
  const host = await makeSimHost('smos-02');
  onTestFinished(() => host.remove());
  await host.zpool('create', 'pool');
  const { stdout } = await execa(process.execPath, [program, 'doctor', '--json'], {
    env: { ...host.env, ZPSEND_HOST: name, ...more },
    extendEnv: false,
    reject: false,
  });
  return doctorOutputSchema.parse(JSON.parse(stdout)).checks;
}
const remedies = (checks: Awaited<ReturnType<typeof doctor>>) =>
  JSON.stringify(checks.map(({ remedy }) => remedy ?? ''));

test('without an inbox prefix that of the host is tried, and doctor names it', async () => {
  const checks = await doctor('smos-02', { ...granted().envOf('smos-02'), ZPSEND_INBOX_PREFIX: '' });
  expect(checks.filter(({ result }) => result === 'bad')).toEqual([]);
  expect(checks).toContainEqual({
    what: 'inbox',
    result: 'note',
    found: mentions('_INBOX.smos-02.>', '_INBOX.>'),
    remedy: mentions('ZPSEND_INBOX_PREFIX=_INBOX.smos-02'),
  });
  expect(remedies(checks)).not.toMatch(/allow|JS\.API/);
});

test.each([
  ['without its inbox prefix', ''],
  ['with its inbox prefix', '_INBOX.smos-02'],
  ['with the inbox prefix of this host', '_INBOX.smos-12'],
])('the key of another host is reported as such, not as a lack of permissions: %s', async (_how, prefix) => {
  const checks = await doctor('smos-12', { ...granted().envOf('smos-02'), ZPSEND_INBOX_PREFIX: prefix });
  expect(checks.filter(({ result }) => result === 'bad')).toEqual([
    {
      what: 'permissions',
      result: 'bad',
      found: expect.stringMatching(/smos-12.*U[A-Z0-9]{55}/),
      remedy: mentions('smos-12', 'zpsend deploy permissions smos-12'),
    },
  ]);
  expect(remedies(checks)).not.toMatch(/zfs\.>|JS\.API/);
});
