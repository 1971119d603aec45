import { setTimeout as sleep } from 'node:timers/promises';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { Kvm } from '@nats-io/kv';
import { headers } from '@nats-io/transport-node';
import type { Bus } from '../../lib/bus/connection/connect.ts';
import { keySubject, lockKey, locksBucket } from '../../lib/bus/subjects.ts';
import type { Report } from './judge.ts';

export const scenarios = [
  'purge',
  'purge-key',
  'delete-key',
  'purge-key-beside',
  'delete-message-beside',
  'bucket',
  'ttl',
  'leader',
  'stop',
  'stop-and-purge',
] as const;
export type Scenario = (typeof scenarios)[number];

/** One of the processes. */
export interface Contender {
  readonly who: string;
  signal(name: NodeJS.Signals): void;
  end(): Promise<void>;
}

export interface Disturbance {
  readonly scenario: Scenario;
  /** From 1. */
  readonly round: number;
  readonly bus: Bus;
  readonly contenders: readonly Contender[];
  readonly reports: readonly Report[];
}

const stream = `KV_${locksBucket}`;
const subject = keySubject(locksBucket, lockKey('host', 'tank/lock'));

/** The lock of another dataset, of which only a release marker is left. */
const beside = keySubject(locksBucket, lockKey('host', 'tank/beside'));
/** In an entry's time to live, every so many rounds the other lock is released again. */
const roundsBeside = 4;
const isBeside = (scenario: Scenario): boolean => scenario.endsWith('beside');

/** Time to live of the lock, in seconds; an entry beside it has to grow old. */
export const ttlOf = (scenario: Scenario): number => (isBeside(scenario) ? 30 : 4);

const deletion = headers();
deletion.set('KV-Operation', 'DEL');

/** What takes entries away needs a bucket that lets it. */
const takesAway = (scenario: Scenario): boolean => scenario.includes('purge') || scenario.startsWith('delete-message');

/** A bucket that keeps its entries is made by the first contender, with its own time to live. */
export async function forgetLocks(bus: Bus, scenario: Scenario): Promise<void> {
  const { streams } = await jetstreamManager(bus.nc, { checkAPI: false });
  await streams.delete(stream).catch(() => false);
  if (!takesAway(scenario)) return;
  await new Kvm(jetstream(bus.nc)).create(locksBucket, { history: 1, ttl: ttlOf(scenario) * 1000, replicas: 3 });
}

/** Whose lock it is now. */
async function holder({ bus, contenders }: Disturbance): Promise<Contender | undefined> {
  const manager = await jetstreamManager(bus.nc, { checkAPI: false });
  const message = await manager.streams.getMessage(stream, { last_by_subj: subject }).catch(() => null);
  return contenders.find(({ who }) => message?.string().includes(`"host/${who}"`));
}

/** Stops whose lock it is, does the work, and lets it go on after a time in which its lease may be over, or not. */
async function whileStopped(disturbance: Disturbance, work: () => Promise<unknown>): Promise<void> {
  const one = await holder(disturbance);
  if (!one) return void (await sleep(100));
  one.signal('SIGSTOP');
  try {
    await work();
    await sleep(500 + Math.random() * 9000);
  } finally {
    one.signal('SIGCONT');
  }
  await sleep(1000);
}

/** One disturbance of a scenario, and the time until the next. */
export async function disturb(disturbance: Disturbance): Promise<void> {
  const { scenario, round, bus } = disturbance;
  const { streams } = await jetstreamManager(bus.nc, { checkAPI: false });
  const pause = () => sleep(2000 + Math.random() * 3000);
  if (isBeside(scenario) && round % roundsBeside === 1) bus.nc.publish(beside, '', { headers: deletion });
  switch (scenario) {
    case 'purge':
      await pause();
      return void (await streams.purge(stream));
    case 'purge-key':
    case 'purge-key-beside':
      await pause();
      return void (await streams.purge(stream, { filter: subject }));
    case 'delete-key':
      await pause();
      return bus.nc.publish(subject, '', { headers: deletion });
    case 'delete-message-beside': {
      await pause();
      const message = await streams.getMessage(stream, { last_by_subj: subject });
      return void (message && (await streams.deleteMessage(stream, message.seq)));
    }
    case 'bucket':
      await pause();
      return void (await streams.delete(stream));
    case 'ttl': {
      await pause();
      const { config } = await streams.info(stream);
      const seconds = round % 2 === 1 ? 1 : 4;
      return void (await streams.update(stream, { ...config, max_age: seconds * 1e9, duplicate_window: 1e9 }));
    }
    case 'leader':
      await sleep(1000);
      return void (await bus.nc.request(`$JS.API.STREAM.LEADER.STEPDOWN.${stream}`, '', { timeout: 2000 }));
    case 'stop':
      return whileStopped(disturbance, async () => {});
    case 'stop-and-purge':
      return whileStopped(disturbance, () => streams.purge(stream));
  }
}
