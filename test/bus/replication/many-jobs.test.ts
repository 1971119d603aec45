import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { listLocks } from '../../../lib/bus/locks/locks.ts';
import { useFleet } from '../../support/fleet.ts';
import { mentions } from '../../support/mentions.ts';
import { useNatsAccounts } from '../../support/nats-account.ts';
import type { ServiceProcess } from '../../support/service.ts';
import type { SimHost } from '../../support/sim-host.ts';

const natsUrl = useNatsAccounts();

const mib = 1024 * 1024;
/** Jobs that a sender runs at once, and receives that the receiver here does. */
const [most, limit] = [64, 4];
/** Of each snapshot: of all together a process could keep no more than a part. */
const size = 5 * mib;
/** What a job waits for here is 60 others, on a machine that may be busy. */
const patient = { ZPSEND_PATIENCE_SECONDS: '900', ZPSEND_SILENCE_SECONDS: '30' };

const names = Array.from({ length: most }, (_, at) => `zones/d${at}`);

/** The most memory that a service has had so far, in bytes. */
const peak = ({ pid }: ServiceProcess): number =>
  Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024;

/** Snapshots there, each with its guid. */
const snapshots = async (host: SimHost, below: string): Promise<Map<string, string>> => {
  const lines = await host.zfs('list', '-Hp', '-r', '-t', 'snapshot', '-o', 'name,guid', below);
  return new Map(lines.split('\n').map((line) => line.split('\t') as [string, string]));
};

test('64 jobs at once to a receiver with a limit of 4 are all done, and leave no hold and no lock; more are refused', {
  timeout: 900_000,
}, async () => {
  const fleet = await useFleet(natsUrl());
  const [source, target] = await Promise.all([fleet.host('smos-01'), fleet.host('smos-00')]);
  await Promise.all([source, target].map((host) => host.zpool('create', 'zones')));
  for (const name of names) {
    await source.zfs('create', name);
    await source.zfs('set', `zfs-sim:write=${size}`, name);
  }
  await source.zfs('snapshot', '-r', 'zones@one');
  const allow = { ZPSEND_ALLOW: '*=zones', ZPSEND_MAX_CONCURRENT: `${limit}` };
  const receiver = await fleet.start('receiver', target, { ...patient, ...allow });
  const sender = await fleet.start('sender', source, patient);
  const before = [peak(sender), peak(receiver)];

  // two of them are the first two once more
  const started = await Promise.allSettled(
    [...names, ...names.slice(0, 2)].map((dataset) => fleet.begin('smos-01', { dataset, to: { host: 'smos-00' } })),
  );
  const jobs = started.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  const refused = started.flatMap((one) => (one.status === 'rejected' ? [one.reason] : []));
  expect(jobs).toHaveLength(most);
  for (const error of refused) expect(error).toMatchObject({ code: 'BUSY', message: mentions(64) });
  expect(refused).toHaveLength(2);

  const ended = await Promise.all(jobs.map((job) => fleet.ended('smos-01', job)));
  expect(ended.filter(({ state }) => state !== 'done').map(({ error }) => error)).toEqual([]);
  expect(sender.lines('job.waiting', { code: 'BUSY' })).not.toEqual([]);
  expect(ended.reduce((sum, { bytes }) => sum + bytes, 0)).toBeGreaterThan(most * size);

  const sent = await snapshots(source, 'zones');
  // the pool's own root is in no job
  sent.delete('zones@one');
  const asked = new Set(ended.map(({ request }) => request.dataset));
  const expected = [...sent].filter(([name]) => asked.has(name.split('@')[0] ?? ''));
  expect(expected.length).toBeGreaterThanOrEqual(most - 2);
  expect([...(await snapshots(target, 'zones'))].sort()).toEqual(expected.sort());
  expect(await source.zfs('holds', '-H', ...sent.keys())).toBe('');
  expect(await listLocks(fleet.bus)).toEqual([]);
  // each receive has a window of 8 MiB, and zfs has pipes; all streams together are 320 MiB
  const grown = [peak(sender), peak(receiver)].map((now, at) => (now - (before[at] ?? 0)) / mib);
  expect(Math.max(...grown), `MiB of sender and receiver: ${grown}`).toBeLessThan(160);
  expect(receiver.log.join('\n')).not.toMatch(/"level":50/);
});

test('I1: of two sources whose packages overlap on the target each dataset has one source, and each job has its true result', {
  timeout: 300_000,
}, async () => {
  const fleet = await useFleet(natsUrl());
  const sources = await Promise.all(['smos-01', 'smos-02'].map((name) => fleet.host(name)));
  const target = await fleet.host('smos-00');
  for (const host of [...sources, target]) await host.zpool('create', 'zones');
  const parts = ['', '/x', '/y', '/y/z'];
  for (const host of sources) {
    for (const part of parts) {
      await host.zfs('create', `zones/o${part}`);
      await host.zfs('set', 'zfs-sim:write=300000', `zones/o${part}`);
    }
    for (const name of ['one', 'two']) await host.zfs('snapshot', '-r', `zones/o@${name}`);
    await fleet.start('sender', host, patient);
  }
  await fleet.start('receiver', target, { ...patient, ZPSEND_ALLOW: '*=zones', ZPSEND_MAX_CONCURRENT: `${limit}` });
  const body = { dataset: 'zones/o', package: 'replication', to: { host: 'smos-00', dataset: 'zones/both' } };
  const jobs = await Promise.all(sources.map(({ name }) => fleet.send(name, body)));

  const there = await snapshots(target, 'zones/both');
  const guidsOf = (of: ReadonlyMap<string, string>, dataset: string) =>
    ['one', 'two'].map((name) => of.get(`${dataset}@${name}`));
  const theirs = await Promise.all(sources.map((host) => snapshots(host, 'zones/o')));
  const winners = parts.map((part) => {
    const guids = guidsOf(there, `zones/both${part}`);
    return theirs.findIndex((of) => guidsOf(of, `zones/o${part}`).join() === guids.join());
  });
  expect(winners, 'all of one source').not.toContain(-1);
  for (const [at, job] of jobs.entries()) {
    const own = job.datasets.list.map(({ dataset, state, error }) => [dataset, state, error?.code]);
    const expected = parts.map((part, place) => [
      `zones/o${part}`,
      ...(winners[place] === at
        ? ['done', undefined]
        : [expect.stringMatching(/^(failed|refused)$/), expect.stringMatching(/^(DIVERGED|LOCKED|EXISTS)$/)]),
    ]);
    expect(own.sort()).toEqual(expected);
  }
  expect(await listLocks(fleet.bus)).toEqual([]);
  for (const [at, host] of sources.entries()) {
    expect(await host.zfs('holds', '-H', ...(theirs[at]?.keys() ?? []))).toBe('');
  }
});
