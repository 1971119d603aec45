import { chmod, copyFile, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ExecaError, execa } from 'execa';
import { debianMirror, type SourceFile } from './debian-mirror.ts';

/** The module for `go install`, if there is no Debian package. */
export const goModule = 'github.com/nats-io/nats-server/v2@v2.15.1';

/** A source of nats-server: puts the executable at `target`, or throws. `work` is an empty folder. */
export type Fetch = { how: 'apt' | 'go'; what: string; run: (work: string, target: string) => Promise<void> };

/** The package of sid, which needs only libc6 2.34: that of Debian 12 is 2.9. */
const fromDebian: Fetch = {
  how: 'apt',
  what: "Debian's nats-server package, unpacked",
  run: async (work, target) => {
    const mirror = debianMirror(await aptSources('/etc/apt'));
    if (!mirror) throw new Error('the apt sources in /etc/apt name no Debian archive');
    for (const folder of ['lists/partial', 'archives/partial', 'etc'])
      await mkdir(join(work, folder), { recursive: true });
    // private apt folders: does not use or change the system's lists, sources and package database
    const options = [
      ['Dir::Etc::SourceList', '/dev/null'],
      ['Dir::Etc::SourceParts', join(work, 'etc')],
      ['Dir::Etc::Preferences', '/dev/null'],
      ['Dir::Etc::PreferencesParts', '/dev/null'],
      ['Dir::State', work],
      ['Dir::State::Lists', join(work, 'lists')],
      ['Dir::State::status', '/dev/null'],
      ['Dir::Cache', work],
      // the user _apt may not enter this folder
      ['APT::Sandbox::User', 'root'],
      ['Acquire::Languages', 'none'],
      ['Acquire::Retries', '3'],
    ].flatMap(([name, value]) => ['-o', `${name}=${value}`]);
    const keyring = await firstFile(['gpg', 'pgp'].map((end) => `/usr/share/keyrings/debian-archive-keyring.${end}`));
    await writeFile(join(work, 'etc', 'sid.list'), `deb [signed-by=${keyring}] ${mirror} sid main\n`);
    await command(work, 'apt-get', [...options, '-q', 'update', '--error-on=any']);
    await command(work, 'apt-get', [...options, '-q', 'download', 'nats-server']);
    const deb = (await readdir(work)).find((name) => name.endsWith('.deb'));
    if (!deb) throw new Error('apt-get download left no package');
    await command(work, 'dpkg', ['-x', deb, 'unpacked']);
    await copyFile(join(work, 'unpacked/usr/bin/nats-server'), target).catch(() =>
      copyFile(join(work, 'unpacked/usr/sbin/nats-server'), target),
    );
    await chmod(target, 0o755);
  },
};

const fromGo: Fetch = {
  how: 'go',
  what: `go install ${goModule}`,
  run: async (work, target) => {
    await command(work, 'go', ['install', goModule], { GOBIN: work, GOFLAGS: '', CGO_ENABLED: '0' });
    await copyFile(join(work, 'nats-server'), target);
    await chmod(target, 0o755);
  },
};

export const fetches: readonly Fetch[] = [fromDebian, fromGo];

const aptSources = async (folder: string): Promise<SourceFile[]> => {
  const parts = await readdir(join(folder, 'sources.list.d')).catch(() => []);
  const names = [
    'sources.list',
    ...parts.filter((name) => /\.(list|sources)$/.test(name)).map((name) => `sources.list.d/${name}`),
  ];
  const read = async (name: string) => ({ name, text: await readFile(join(folder, name), 'utf8').catch(() => '') });
  return Promise.all(names.map(read));
};

const firstFile = async (paths: readonly string[]): Promise<string> => {
  for (const path of paths) if (await stat(path).catch(() => undefined)) return path;
  throw new Error(`${paths[0]} is not there (package debian-archive-keyring)`);
};

const command = async (cwd: string, file: string, args: string[], env: Record<string, string> = {}): Promise<void> => {
  try {
    await execa(file, args, { cwd, env: { LC_ALL: 'C', ...env }, stdin: 'ignore', timeout: 600_000, all: true });
  } catch (error) {
    if (!(error instanceof ExecaError)) throw error;
    if (error.code === 'ENOENT') throw new Error(`${file} is not on PATH`, { cause: error });
    const output = String(error.all ?? '')
      .trim()
      .split('\n')
      .slice(-3)
      .join(' | ');
    throw new Error(`${file} ${args.at(-1)} failed: ${output || error.shortMessage}`, { cause: error });
  }
};
