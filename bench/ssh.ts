import { accessSync, constants } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { delimiter, join } from 'node:path';
import { execa } from 'execa';

/** A private sshd on loopback, with its own keys. */
export interface Sshd {
  readonly pid: number;
  /** The command line of a client, up to the remote command. */
  client(cipher: string | undefined): string[];
  stop(): Promise<void>;
}

function find(command: string): string | undefined {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin'];
  return folders
    .map((folder) => join(folder, command))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject).listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0));
    });
  });

/** Starts one; resolves with a message if that is not possible. */
export async function startSshd(folder: string): Promise<Sshd | string> {
  const [sshd, ssh, keygen] = [find('sshd'), find('ssh'), find('ssh-keygen')];
  if (!sshd || !ssh || !keygen) return 'no OpenSSH server and client here (Debian: apt-get install openssh-server)';
  const port = await freePort();
  const at = (name: string): string => join(folder, name);
  await mkdir(folder, { recursive: true });
  for (const key of ['host', 'client']) await execa(keygen, ['-q', '-t', 'ed25519', '-N', '', '-f', at(key)]);
  const config = [
    `Port ${port}`,
    'ListenAddress 127.0.0.1',
    `HostKey ${at('host')}`,
    `AuthorizedKeysFile ${at('client.pub')}`,
    'StrictModes no',
    'UsePAM no',
    'PidFile none',
  ];
  await writeFile(at('sshd_config'), `${config.join('\n')}\n`);
  // Debian's sshd needs this folder for its unprivileged processes
  await mkdir('/run/sshd', { recursive: true }).catch(() => {});
  const server = execa(sshd, ['-D', '-e', '-f', at('sshd_config')], { reject: false, cleanup: true });
  const client = (cipher: string | undefined): string[] => [
    ...[ssh, '-q', '-p', `${port}`, '-i', at('client'), '-o', 'BatchMode=yes', '-o', 'StrictHostKeyChecking=no'],
    ...['-F', 'none', '-o', `UserKnownHostsFile=${at('known')}`, ...(cipher ? ['-c', cipher] : []), '127.0.0.1'],
  ];
  const stop = async (): Promise<void> => {
    server.kill('SIGTERM');
    await server;
  };
  for (let tries = 0; tries < 50; tries += 1) {
    const [command = '', ...argv] = client(undefined);
    const { exitCode } = await execa(command, [...argv, 'true'], { reject: false, timeout: 5000 });
    if (exitCode === 0) return { pid: server.pid ?? 0, client, stop };
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  await stop();
  return `sshd does not let us in: ${(await server).stderr.split('\n').at(-1) ?? ''}`;
}
