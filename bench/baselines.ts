import { spawn } from 'node:child_process';
import type { SimHost } from '../test/support/sim-host.ts';
import { descendants, type Usage, watch } from './processes.ts';
import type { Sshd } from './ssh.ts';
import type { Run } from './world.ts';

const quote = (word: string): string => `'${word.replaceAll("'", "'\\''")}'`;

/** One shell pipeline, as an administrator types it. */
async function pipeline(command: string, env: NodeJS.ProcessEnv, usages: () => Record<string, Usage>): Promise<Run> {
  const began = performance.now();
  const child = spawn('sh', ['-c', command], { env, stdio: ['ignore', 'inherit', 'inherit'] });
  const status = await new Promise((resolve) => child.once('exit', resolve));
  const seconds = (performance.now() - began) / 1000;
  if (status !== 0) throw new Error(`exit status ${status}: ${command}`);
  return { seconds, usages: usages() };
}

const receiveWords = (dataset: string): string[] => ['zfs', 'receive', '-s', '-u', dataset];

/** `zfs send | zfs receive`, both on the receiving side's machine. */
export function throughPipe(source: SimHost, target: SimHost, snapshot: string, into: string): Promise<Run> {
  const send = `ZFS_SIM_STATE=${quote(source.env.ZFS_SIM_STATE ?? '')} zfs send ${quote(snapshot)}`;
  return pipeline(`${send} | ${receiveWords(into).map(quote).join(' ')}`, target.env, () => ({}));
}

/** `zfs send | ssh host zfs receive`. */
export function throughSsh(
  sshd: Sshd,
  cipher: string | undefined,
  hosts: { source: SimHost; target: SimHost },
  snapshot: string,
  into: string,
): Promise<Run> {
  const passed = ['PATH', 'ZFS_SIM_STATE', 'ZFS_SIM_NODE'].map((name) => `${name}=${hosts.target.env[name] ?? ''}`);
  const remote = ['env', ...passed, ...receiveWords(into)].map(quote).join(' ');
  const client = [...sshd.client(cipher), remote].map(quote).join(' ');
  const usages = watch({
    sender: () => descendants(process.pid, /^ssh$/),
    receiver: () => descendants(sshd.pid, /^sshd/),
  });
  return pipeline(`zfs send ${quote(snapshot)} | ${client}`, hosts.source.env, usages);
}
