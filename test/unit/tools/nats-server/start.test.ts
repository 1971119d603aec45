import { access, readdir } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { execa } from 'execa';
import { afterEach, describe, expect, test } from 'vitest';
import { startNatsCluster } from '../../../../tools/nats-server/cluster.ts';
import { type NatsServer, type StartOptions, startNatsServer } from '../../../../tools/nats-server/start.ts';

const started: NatsServer[] = [];
const start = async (options?: StartOptions): Promise<NatsServer> => {
  const server = await startNatsServer(options);
  started.push(server);
  return server;
};
afterEach(async () => {
  await Promise.all(started.splice(0).map((server) => server.stop()));
});

/** The INFO line that a nats-server greets with. */
const greeting = (port: number, host = '127.0.0.1'): Promise<Record<string, unknown>> =>
  new Promise((resolve, reject) => {
    const socket = createConnection(port, host);
    socket.once('error', reject);
    socket.once('data', (data) => {
      socket.destroy();
      resolve(JSON.parse(data.toString().replace(/^INFO /, '')));
    });
  });

const alive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

/** The temporary folders of the servers that a process started. */
const foldersOf = async (pid: number): Promise<string[]> =>
  (await readdir(tmpdir())).filter((name) => name.startsWith(`zpsend-nats-${pid}-`));

const storeOf = async (server: NatsServer): Promise<string> => {
  const reply = await fetch(`${server.monitor}/jsz`);
  const body = (await reply.json()) as { config: { store_dir: string } };
  return body.config.store_dir;
};

describe('a nats-server of our own', () => {
  test('serves on loopback with JetStream only when asked', async () => {
    const [plain, jetstream] = await Promise.all([start(), start({ jetstream: true })]);
    expect(await greeting(plain.port)).toMatchObject({ host: '127.0.0.1' });
    expect(await greeting(plain.port)).not.toHaveProperty('jetstream');
    expect(await greeting(jetstream.port)).toMatchObject({ host: '127.0.0.1', jetstream: true });
  });

  test('stays on loopback with any configuration', async () => {
    const server = await start({ config: 'host: "0.0.0.0"\nmax_payload: 2048' });
    expect(await greeting(server.port)).toMatchObject({ host: '127.0.0.1', max_payload: 2048 });
  });

  test('leaves no process and no folder after stop', async () => {
    const server = await start({ jetstream: true });
    const store = await storeOf(server);
    await access(store);
    await server.stop();
    expect(alive(server.pid)).toBe(false);
    await expect(access(store)).rejects.toThrow('ENOENT');
    await expect(server.stop()).resolves.toBeUndefined();
  });

  test('keeps its port and its store over kill and restart', async () => {
    const server = await start({ jetstream: true });
    const before = { url: server.url, store: await storeOf(server), pid: server.pid };
    await server.kill();
    expect(alive(before.pid)).toBe(false);
    await server.restart();
    expect({ url: server.url, store: await storeOf(server) }).toEqual({ url: before.url, store: before.store });
    expect(server.pid).not.toBe(before.pid);
  });

  test('a mistake in the configuration is reported in the words of nats-server', async () => {
    await expect(startNatsServer({ config: 'accounts {' })).rejects.toThrow(/Parse error/);
  });

  test('a taken port is reported in the words of nats-server', async () => {
    const server = await start();
    await expect(startNatsServer({ port: server.port })).rejects.toThrow(/address already in use/);
  });

  test('ends, and its folder goes, when the process that started it is killed', async () => {
    const program = `
      import { startNatsServer } from './tools/nats-server/start.ts';
      const server = await startNatsServer({ jetstream: true });
      console.log(server.pid, process.pid);
      process.kill(process.pid, 'SIGKILL');`;
    const { stdout } = await execa(process.execPath, ['--input-type=module-typescript', '-e', program], {
      reject: false,
    });
    const [server = 0, parent = 0] = stdout.split(' ').map(Number);
    expect(server).toBeGreaterThan(1);
    const left = async () => [alive(server), await foldersOf(parent)];
    await expect.poll(left, { timeout: 10_000 }).toEqual([false, []]);
  });

  test('three servers form a cluster with a leader, and one may die and come back', async () => {
    const cluster = await startNatsCluster(3, { jetstream: true });
    started.push(...cluster);
    const leaders = await Promise.all(
      cluster.map(async (server) => {
        const body = (await (await fetch(`${server.monitor}/jsz`)).json()) as { meta_cluster: { leader: string } };
        return body.meta_cluster.leader;
      }),
    );
    expect(new Set(leaders).size).toBe(1);
    const [first] = cluster;
    await first?.kill();
    await first?.restart();
    expect(await greeting(first?.port ?? 0)).toMatchObject({ cluster: 'zpsend', server_name: 'n1' });
  });

  test('nothing of ours is left in the temporary folder', async () => {
    expect(await foldersOf(process.pid)).toEqual([]);
  });
});
