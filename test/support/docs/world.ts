import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { execa } from 'execa';
import { vi } from 'vitest';
import { program } from '../program.ts';
import { type ServiceProcess, startService } from '../service.ts';
import { makeSimHost, type SimHost } from '../sim-host.ts';
import type { DocCommand } from './blocks.ts';

/** Hosts as the documents name them: one NATS, and services that `systemctl` starts. */
export interface DocWorld {
  /** Makes these hosts, with their pools, and if wanted with services that run. */
  prepare(hosts: readonly string[], isRunning: boolean): Promise<void>;
  /** A file of a host, below `/etc/`. */
  write(host: string, path: string, text: string): Promise<void>;
  /** Runs a command as typed at that host. */
  run(command: DocCommand): Promise<{ output: string; exit: number }>;
  end(): Promise<void>;
}

interface DocHost {
  readonly sim: SimHost;
  readonly folder: string;
  readonly files: Set<string>;
  readonly services: Map<'sender' | 'receiver', ServiceProcess>;
}

const days = ['monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday', 'sunday'];
const source = 'smos-01';
/** The hosts of the pages: the source, and targets. */
export const docHosts: readonly string[] = [source, 'smos-00', 'dr-1', 'site-a', 'site-b'];
const poolOf = (name: string): string => (name.startsWith('smos-') ? 'zones' : 'tank');
/** Waits are shorter than those of a real host. */
const impatient = { ZPSEND_LOCK_SECONDS: '4', ZPSEND_SILENCE_SECONDS: '5' };

async function fillSource({ zfs }: SimHost): Promise<void> {
  const written = (dataset: string, amount: string) => zfs('set', `zfs-sim:write=${amount}`, dataset);
  await zfs('create', 'zones/test');
  for (const day of days) {
    await written('zones/test', '3M');
    await zfs('snapshot', `zones/test@${day}`);
  }
  for (const dataset of ['zones/vm', 'zones/vm/a', 'zones/vm/b', 'zones/vm/tmp']) {
    await zfs('create', dataset);
    await written(dataset, '2M');
  }
  await zfs('snapshot', '-r', 'zones/vm@daily-1');
  await written('zones/vm/a', '1M');
  await zfs('snapshot', '-r', 'zones/vm@daily-2');
  await zfs('create', '-o', 'encryption=on', '-o', 'keyformat=passphrase', 'zones/secret');
  await written('zones/secret', '2M');
  await zfs('snapshot', 'zones/secret@one');
}

/** @param url the NATS of the page; @param natsCli the path of the `nats` command, if there is one */
export async function makeDocWorld(url: string, natsCli: string | undefined): Promise<DocWorld> {
  const hosts = new Map<string, DocHost>();
  const bin = await mkdtemp(join(tmpdir(), 'zpsend-docs-'));
  await writeFile(join(bin, 'zpsend'), `#!/bin/sh\nexec '${process.execPath}' '${program}' "$@"\n`, { mode: 0o755 });
  const server = new URL(url);

  const hostOf = (name: string): DocHost => {
    const host = hosts.get(name);
    if (!host) throw new Error(`the pages have no host ${name}`);
    return host;
  };
  const environment = ({ sim, folder, files }: DocHost): NodeJS.ProcessEnv => ({
    ...sim.env,
    ...impatient,
    NATS_URL: url,
    PATH: [bin, ...(natsCli === undefined ? [] : [dirname(natsCli)]), sim.env.PATH].join(delimiter),
    ZPSEND_ENV_FILE: files.has('/etc/zpsend/env') ? join(folder, '/etc/zpsend/env') : '',
    ZPSEND_CONFIG: files.has('/etc/zpsend.yaml') ? join(folder, '/etc/zpsend.yaml') : '',
  });
  const stop = async (host: DocHost, name: 'sender' | 'receiver') => {
    await host.services.get(name)?.end();
    host.services.delete(name);
  };
  const start = async (host: DocHost, name: 'sender' | 'receiver') => {
    if (!host.services.has(name)) host.services.set(name, await startService(name, environment(host)));
  };
  async function reload(service: ServiceProcess | undefined): Promise<void> {
    if (!service) throw new Error('systemctl reload: the service does not run');
    const before = service.log.length;
    process.kill(service.pid, 'SIGHUP');
    const isRead = (line: string) => /"event":"settings[.](changed|unchanged|refused)"/.test(line);
    await vi.waitUntil(() => service.log.slice(before).some(isRead), { timeout: 30_000 });
  }
  async function systemctl(host: DocHost, words: readonly string[]): Promise<void> {
    const [verb = '', ...units] = words.filter((word) => !word.startsWith('-'));
    for (const unit of units) {
      const [, name] = /^zpsend-(sender|receiver)(?:\.service)?$/.exec(unit) ?? [];
      if (name !== 'sender' && name !== 'receiver') throw new Error(`systemctl ${words.join(' ')}: no unit of zpsend`);
      if (verb === 'reload') await reload(host.services.get(name));
      else if (verb === 'status') continue;
      else {
        if (verb === 'stop' || verb === 'disable' || verb === 'restart') await stop(host, name);
        if (verb === 'start' || verb === 'enable' || verb === 'restart') await start(host, name);
      }
    }
  }

  const world: DocWorld = {
    async prepare(names, isRunning) {
      const one = async (name: string): Promise<void> => {
        const sim = await makeSimHost(name);
        const host = { sim, folder: sim.env.HOME ?? '', files: new Set<string>(), services: new Map() };
        hosts.set(name, host);
        await sim.zpool('create', poolOf(name));
        if (name === source) await fillSource(sim);
        if (!isRunning) return;
        const receive = `receive:\n  allow: [{ from: "*", into: ${poolOf(name)} }]\n`;
        await world.write(name, '/etc/zpsend.yaml', name === source ? '{}\n' : receive);
        await start(host, name === source ? 'sender' : 'receiver');
      };
      await Promise.all(names.map(one));
    },
    async write(name, path, text) {
      const host = hostOf(name);
      const file = join(host.folder, path);
      await mkdir(dirname(file), { recursive: true });
      await writeFile(file, text);
      host.files.add(path);
    },
    async run({ host: name, text }) {
      const host = hostOf(name);
      const [first = '', ...words] = text.split(/\s+/);
      if (first === 'systemctl') {
        await systemctl(host, words);
        return { output: '', exit: 0 };
      }
      const here = text.replaceAll('/etc/zpsend', `${host.folder}/etc/zpsend`);
      const { all, exitCode } = await execa('bash', ['-c', here], {
        env: environment(host),
        extendEnv: false,
        cwd: host.folder,
        stdin: 'ignore',
        all: true,
        reject: false,
        timeout: 60_000,
      });
      return {
        output: (all ?? '').replaceAll(host.folder, '').replaceAll(server.host, 'nats.example:4222'),
        exit: exitCode ?? -1,
      };
    },
    async end() {
      for (const host of hosts.values()) {
        for (const name of [...host.services.keys()]) await stop(host, name);
        await host.sim.remove();
      }
      await rm(bin, { recursive: true });
    },
  };
  return world;
}
