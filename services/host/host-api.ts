import { z } from 'zod';
import type { Bus } from '../../lib/bus/connection/connect.ts';
import type { Served } from '../../lib/bus/rpc/serve.ts';
import { askInstances, serveVerb } from '../../lib/bus/rpc/serve-verbs.ts';
import { subjects } from '../../lib/bus/subjects.ts';
import { version } from '../../lib/settings/version.ts';
import type { Zfs } from '../../lib/zfs/zfs.ts';
import { eachInfoSchema, type Info, type Instance } from '../../schemas/host.ts';
import { protocol } from '../../schemas/protocol.ts';
import { coalesce } from './coalesce.ts';
import { zfsFacts } from './zfs-facts.ts';

export interface HostDeps {
  readonly host: string;
  readonly bus: Bus;
  readonly zfs: Zfs;
  readonly self: Instance;
  /** The limits of this moment. */
  readonly limits: () => Info['limits'];
}

/** Serves the request that either service can answer: `zfs.<host>.info`. */
export function serveHost(deps: HostDeps, isPrivate: boolean): Served[] {
  const { host, bus, zfs } = deps;
  const infoSubject = subjects.info(host);

  async function info(): Promise<Info> {
    const [facts, answers] = await Promise.all([zfsFacts(zfs), askInstances(bus, infoSubject, {}, eachInfoSchema)]);
    const limits = Object.assign({}, ...answers.map((answer) => answer.limits), deps.limits());
    // our own answer does not depend on whether it comes in time
    const others = answers
      .flatMap((answer) => answer.instances)
      .filter(({ instance }) => instance !== deps.self.instance);
    const instances = [deps.self, ...others];
    return { protocol, host, machine: deps.self.machine, version, node: process.version, ...facts, limits, instances };
  }

  return serveVerb(
    { bus, queue: 'host', instance: deps.self.instance, isPrivate },
    {
      name: 'info',
      subject: infoSubject,
      identifies: true,
      request: z.strictObject({}),
      // each answer starts processes, and is the same for all who ask at one moment
      handle: coalesce(info),
      each: async () => ({ instances: [deps.self], limits: deps.limits() }),
    },
  );
}
