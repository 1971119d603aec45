import { expect } from 'vitest';
import { subjects } from '../../lib/bus/subjects.ts';
import { policiesSchema } from '../../schemas/policy.ts';
import { configured } from './configured.ts';
import { type Fleet, useFleet } from './fleet.ts';
import type { ServiceProcess } from './service.ts';
import type { SimHost } from './sim-host.ts';

/** A host `src` with `pool/a`, and receivers; its sender is the test's to start. */
export interface Triggered {
  readonly fleet: Fleet;
  readonly source: SimHost;
  readonly targets: SimHost[];
  /** Targets of the jobs that were started on `src`, in their order. */
  readonly started: string[];
  /** A sender with these policies in its file; more of `send` may follow them. */
  sender(policies: readonly object[], send?: object, env?: NodeJS.ProcessEnv): Promise<ServiceProcess>;
  /** Takes a snapshot, and announces it unless `silent`. */
  snapshot(name: string, silent?: 'silent'): Promise<void>;
  announce(body: string, host?: string): void;
  /** Waits until a target has exactly these snapshots of a dataset. */
  arrived(target: SimHost, ...names: string[]): Promise<void>;
}

const patience = { timeout: 60_000, interval: 300 };

/** Waits until no target of any policy has something to do. @param senders all of them, where there are several */
export async function rested({ fleet }: Triggered, ...senders: readonly ServiceProcess[]): Promise<void> {
  const subject = subjects.send('src', 'policies');
  const instances = senders.map((sender) => sender.lines('service.ready')[0]?.instance ?? '');
  const asked = instances.length === 0 ? [subject] : instances.map((instance) => subjects.instance(subject, instance));
  const busy = async () => {
    const answers = await Promise.all(asked.map((one) => fleet.ask(one, {}, policiesSchema)));
    return answers.flatMap(({ policies }) =>
      policies.flatMap(({ targets }) => targets.filter(({ state }) => state !== 'resting')),
    );
  };
  await expect.poll(busy, { timeout: 30_000 }).toEqual([]);
}

/** @param hosts the receivers; those that begin with `-` are not started yet */
export async function useTriggered(url: string, ...hosts: string[]): Promise<Triggered> {
  const fleet = await useFleet(url);
  const [source, ...targets] = await Promise.all(['src', ...hosts].map((name) => fleet.host(name.replace(/^-/, ''))));
  if (!source) throw new Error('no source');
  await Promise.all([source, ...targets].map((host) => host.zpool('create', 'pool')));
  await source.zfs('create', 'pool/a');
  await Promise.all(
    targets
      .filter((_, at) => !hosts[at]?.startsWith('-'))
      .map((host) => fleet.start('receiver', host, { ZPSEND_ALLOW: '*=pool' })),
  );
  const started: string[] = [];
  fleet.bus.nc.subscribe(subjects.event('src', 'job', 'started'), {
    callback: (error, message) => {
      if (!error) started.push(message.json<{ request: { to: { host: string } } }>().request.to.host);
    },
  });
  await fleet.bus.nc.flush();
  const announce = (body: string, host = 'src') => fleet.bus.nc.publish(subjects.snapshotCreated(host), body);
  return {
    fleet,
    source,
    targets,
    started,
    announce,
    sender: (policies, send = {}, env = {}) =>
      // JSON is YAML
      fleet.start('sender', source, { ...configured(JSON.stringify({ send: { policies, ...send } })), ...env }),
    async snapshot(name, silent) {
      await source.zfs('set', 'zfs-sim:write=1000', 'pool/a');
      await source.zfs('snapshot', `pool/a@${name}`);
      if (!silent) announce(`pool/a@${name}`);
    },
    async arrived(target, ...names) {
      const all = names.join(' ');
      await expect
        .poll(async () => {
          const list = await target
            .zfs('list', '-Hp', '-t', 'snapshot', '-o', 'name', '-s', 'createtxg', 'pool/a')
            .catch(() => '');
          return list.replaceAll(/.*@/g, '').split('\n').join(' ');
        }, patience)
        .toBe(all);
    },
  };
}
