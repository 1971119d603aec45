import { execa } from 'execa';
import { expect, onTestFinished, test } from 'vitest';
import { program } from '../../support/program.ts';
import { makeSimHost } from '../../support/sim-host.ts';

test('a shell gets the datasets and snapshots of this host, also without NATS', async () => {
  const host = await makeSimHost('smos-01');
  onTestFinished(() => host.remove());
  await host.zpool('create', 'zones');
  await host.zfs('create', 'zones/test');
  await host.zfs('snapshot', 'zones/test@a');
  const env = { ...host.env, NATS_URL: 'nats://127.0.0.1:1' };
  const complete = async (...words: string[]): Promise<string[]> => {
    const { stdout, stderr } = await execa(process.execPath, [program, '__complete', '--', ...words], {
      env,
      extendEnv: false,
    });
    expect(stderr).toBe('');
    return stdout.split('\n');
  };
  // a busy machine may miss the time limit of a search
  await expect.poll(() => complete('send', 'zo')).toEqual(['zones', 'zones/test']);
  await expect.poll(() => complete('send', 'zones/test@')).toEqual(['zones/test@a']);
});
