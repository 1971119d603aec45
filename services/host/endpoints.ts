import { z } from 'zod';
import type { Bus } from '../../lib/bus/connect.ts';
import { entriesPerPart, toParts } from '../../lib/bus/listing.ts';
import { numbered } from '../../lib/bus/parts.ts';
import { gather } from '../../lib/bus/request.ts';
import { type Served, serve } from '../../lib/bus/serve.ts';
import { subjects } from '../../lib/bus/subjects.ts';
import { version } from '../../lib/settings/version.ts';
import type { Zfs } from '../../lib/zfs/zfs.ts';
import {
  eachInfoSchema,
  type Info,
  type Instance,
  type SnapshotsRequest,
  snapshotsRequestSchema,
} from '../../schemas/host.ts';
import type { Inventory } from '../../schemas/inventory.ts';
import { poolOf } from '../../schemas/names.ts';
import type { Log } from './log.ts';
import { zfsFacts } from './zfs-facts.ts';

const siblingsMs = 300;
/** Listings at once: each is a process, and memory for all it prints. */
const atOnce = 4;

export interface HostDeps {
  readonly host: string;
  readonly bus: Bus;
  readonly zfs: Zfs;
  readonly log: Log;
  readonly self: Instance;
  readonly limits: Info['limits'];
}

/** Serves what either service can tell: `zfs.<host>.info` and `zfs.<host>.snapshots`. */
export function serveHost(deps: HostDeps, isPrivate: boolean): Served[] {
  const { host, bus, zfs, log } = deps;
  const infoSubject = subjects.info(host);

  async function info(): Promise<Info> {
    const [facts, answers] = await Promise.all([
      zfsFacts(zfs),
      gather(bus, subjects.each(infoSubject), {}, eachInfoSchema, siblingsMs),
    ]);
    const limits = Object.assign({}, ...answers.map((answer) => answer.limits), deps.limits);
    // our own answer does not depend on whether it comes in time
    const others = answers
      .flatMap((answer) => answer.instances)
      .filter(({ instance }) => instance !== deps.self.instance);
    const instances = [deps.self, ...others];
    return { host, machine: deps.self.machine, version, node: process.version, ...facts, limits, instances };
  }

  async function* snapshots(asked: SnapshotsRequest) {
    const [datasets, pools] = await Promise.all([
      zfs.list({
        ...(asked.dataset !== undefined && { dataset: asked.dataset }),
        ...(asked.recursive !== undefined && { recursive: asked.recursive }),
        ...(asked.creation && { creation: true }),
      }),
      zfs.poolFacts(asked.dataset && poolOf(asked.dataset)),
    ]);
    const count = datasets.reduce((sum, dataset) => sum + dataset.snapshots.length, 0);
    log.info(`sending a list of ${count} snapshots for ${asked.dataset ?? 'all datasets'}`);
    const facts: Pick<Inventory, 'features' | 'active' | 'readOnlyPools'> = pools
      ? {
          features: pools.features,
          active: pools.active,
          ...(pools.readOnlyPools.length > 0 && { readOnlyPools: pools.readOnlyPools }),
        }
      : {};
    const parts = [...toParts(datasets, entriesPerPart(bus.maxPayload))];
    const [first, ...others] = parts.map((part): Inventory => ({ host, datasets: part }));
    if (first) yield* numbered([{ ...first, ...facts }, ...others]);
  }

  const fromText = (dataset: string) => ({ dataset });
  const each = serve(bus, {
    name: 'info-each',
    subject: subjects.each(infoSubject),
    identifies: true,
    request: z.strictObject({}),
    handle: async () => ({ instances: [deps.self], limits: deps.limits }),
  });
  const own = [
    serve(bus, {
      name: `info-${deps.self.instance}`,
      subject: subjects.instance(infoSubject, deps.self.instance),
      identifies: true,
      request: z.strictObject({}),
      handle: info,
    }),
    serve(bus, {
      name: `snapshots-${deps.self.instance}`,
      subject: subjects.instance(subjects.snapshots(host), deps.self.instance),
      atOnce,
      request: snapshotsRequestSchema,
      fromText,
      handle: snapshots,
    }),
    each,
  ];
  if (isPrivate) return own;
  return [
    ...own,
    serve(bus, {
      name: 'info',
      subject: infoSubject,
      queue: 'host',
      atOnce,
      identifies: true,
      request: z.strictObject({}),
      handle: info,
    }),
    serve(bus, {
      name: 'snapshots',
      subject: subjects.snapshots(host),
      queue: 'host',
      atOnce,
      request: snapshotsRequestSchema,
      fromText,
      handle: snapshots,
    }),
  ];
}
