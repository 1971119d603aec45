import { createHash, randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, openSync, readdirSync, readFileSync, writeSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { lab, MIB } from '../contract/zfs-under-test.ts';
import { useFleet } from '../support/fleet.ts';
import { mentions } from '../support/mentions.ts';
import { useNatsServer } from '../support/nats-server.ts';
import type { ServiceProcess } from '../support/service.ts';
import { fast, startHere } from './services.ts';

const server = useNatsServer();
const z = lab(256 * MIB);

let services: ServiceProcess[];
beforeAll(async () => {
  services = await Promise.all([
    startHere(z, server().url, 'receiver', 'smos-00'),
    startHere(z, server().url, 'sender', 'smos-01'),
  ]);
});
afterAll(async () => {
  await Promise.all(services.map((service) => service.end()));
});
beforeEach(fast);

const useSend = async (dataset: string, into: string) => {
  const fleet = await useFleet(server().url);
  return (more = {}) => fleet.send('smos-01', { dataset, to: { host: 'smos-00', dataset: into }, ...more });
};

const devices = (): string[] => readdirSync('/sys/block').filter((name) => /^zd\d+$/.test(name));

/** There is no udev that would name it: the device of a volume is the one that appears when that is made. */
async function deviceMadeBy(...argv: string[]): Promise<string> {
  const before = new Set(devices());
  const made = () => devices().filter((name) => !before.has(name));
  z.ok(...argv);
  await expect.poll(made).toHaveLength(1);
  return `/dev/${made()[0]}`;
}

/** Writes to a device what does not compress, and to the pool. */
function writeTo(device: string, offset: number, bytes: number): void {
  const file = openSync(device, 'r+');
  writeSync(file, randomBytes(bytes), 0, bytes, offset);
  fsyncSync(file);
  closeSync(file);
}

/** All that a snapshot of a volume holds, read through the device of a clone. */
async function contentOf(snapshot: string): Promise<string> {
  const clone = `${snapshot.split('@')[0]}-read`;
  const device = await deviceMadeBy('clone', snapshot, clone);
  const hash = createHash('sha256').update(readFileSync(device)).digest('hex');
  z.ok('destroy', clone);
  return hash;
}

test('edge cases 15, 16: volumes, sparse and reserved, arrive with every increment and a new size, reserving nothing, while their device is open', async () => {
  const [source, target] = [`${z.source}/vols`, `${z.target}/vols`];
  z.ok('create', source);
  const reserved = await deviceMadeBy('create', '-V', '8M', `${source}/reserved`);
  const sparse = await deviceMadeBy('create', '-s', '-V', '8M', `${source}/sparse`);
  const send = await useSend(source, target);
  const snapshots: string[] = [];
  const snapshot = (leaf: string) => {
    for (const [at, device] of [reserved, sparse].entries()) writeTo(device, (at + snapshots.length) * 512 * 1024, MIB);
    z.ok('snapshot', '-r', `${source}@${leaf}`);
    snapshots.push(leaf);
  };
  snapshot('a');
  snapshot('b');
  const before = new Set(devices());
  expect(await send({ package: 'replication' })).toMatchObject({ state: 'done', done: 6, datasets: { failed: 0 } });
  await expect.poll(() => devices().filter((name) => !before.has(name))).toHaveLength(2);
  const open = devices()
    .filter((name) => !before.has(name))
    .map((name) => openSync(`/dev/${name}`, 'r'));
  z.ok('set', 'volsize=12M', `${source}/sparse`);
  snapshot('c');
  const more = await send({ package: 'replication' });
  for (const file of open) closeSync(file);
  expect(more).toMatchObject({ state: 'done', done: 3, datasets: { failed: 0 } });

  for (const volume of ['reserved', 'sparse']) {
    expect(z.value('type', `${target}/${volume}`)).toBe('volume');
    expect(z.value('volsize', `${target}/${volume}`)).toBe(z.value('volsize', `${source}/${volume}`));
    expect(z.value('refreservation', `${target}/${volume}`), 'a replica takes what it holds').toBe('0');
    for (const leaf of snapshots) {
      const [sent, arrived] = [`${source}/${volume}@${leaf}`, `${target}/${volume}@${leaf}`];
      expect(z.value('guid', arrived), arrived).toBe(z.value('guid', sent));
      expect(await contentOf(arrived), arrived).toBe(await contentOf(sent));
    }
  }
  expect(Number(z.value('refreservation', `${source}/reserved`))).toBeGreaterThan(8 * MIB);
});

/** Room on the target that goes and comes back without a byte being written. */
const shortages = {
  'a pool that is full': (place: string) => {
    z.ok('create', `${place}-others`);
    onTestFinished(() => void z.zfs('destroy', `${place}-others`));
    return {
      take: (left: number) =>
        z.ok('set', `reservation=${Number(z.value('available', z.target)) - left}`, `${place}-others`),
      free: () => z.ok('set', 'reservation=none', `${place}-others`),
    };
  },
  'a quota of the target’s parent': (place: string) => ({
    take: (left: number) => z.ok('set', `quota=${Number(z.value('used', place)) + left}`, place),
    free: () => z.ok('set', 'quota=none', place),
  }),
};

describe('no room', () => {
  test.each(Object.entries(shortages))(
    'edge case 15: %s is NO_SPACE, keeps what was there, and the same command finishes from where it was once there is room',
    async (_, shortageAt) => {
      const place = `${z.target}/room`;
      const [source, target] = [`${z.source}/data`, `${place}/data`];
      for (const dataset of [source, place]) {
        z.ok('create', dataset);
        onTestFinished(() => void z.zfs('destroy', '-r', dataset));
      }
      const shortage = shortageAt(place);
      const send = await useSend(source, target);
      z.write(source, MIB);
      z.ok('snapshot', `${source}@a`);
      expect(await send()).toMatchObject({ state: 'done', done: 1 });
      const size = 32 * MIB;
      z.write(source, size);
      z.ok('snapshot', `${source}@b`);
      shortage.take(16 * MIB);

      const failed = await send();
      expect(failed).toMatchObject({ state: 'failed', done: 0, error: { code: 'NO_SPACE' } });
      expect(failed.error?.message).toEqual(mentions(target, 'smos-00'));
      expect(z.ok('list', '-Hp', '-r', '-t', 'snapshot', '-o', 'name', target)).toEqual([`${target}@a`]);
      expect(z.digest(`${target}@a`)).toBe(z.digest(`${source}@a`));
      expect(z.ok('holds', '-H', `${source}@a`, `${source}@b`)).toEqual([]);
      // again without room: no worse
      expect(await send()).toMatchObject({ state: 'failed', error: { code: 'NO_SPACE' } });

      shortage.free();
      const again = await send();
      expect(again).toMatchObject({ state: 'done', done: 1 });
      expect(again.bytes).toBeLessThan(size - 4 * MIB);
      for (const leaf of ['a', 'b']) expect(z.digest(`${target}@${leaf}`)).toBe(z.digest(`${source}@${leaf}`));
    },
  );
});
