import { onTestFinished } from 'vitest';
import type { z } from 'zod';
import type { Bus, BusOptions } from '../../lib/bus/connection/connect.ts';
import { request } from '../../lib/bus/rpc/request.ts';
import { subjects } from '../../lib/bus/subjects.ts';
import { type Job, sendStartedSchema, sendStatusSchema } from '../../schemas/job.ts';
import { useBus } from './bus.ts';
import { type ServiceProcess, startService } from './service.ts';
import { makeSimHost, type SimHost } from './sim-host.ts';

/** Short enough for a test, long enough for a loaded machine. */
export const quick = {
  ZPSEND_LOCK_SECONDS: '4',
  ZPSEND_SILENCE_SECONDS: '3',
  ZPSEND_PATIENCE_SECONDS: '60',
  // tests destroy what was received; those of the hold itself switch it on
  ZPSEND_HOLD_NEWEST: 'off',
};

/** An emulated machine answers late, in milliseconds. */
const patienceMs = 30_000;

export interface Fleet {
  readonly bus: Bus;
  host(name: string): Promise<SimHost>;
  start(
    service: 'sender' | 'receiver',
    host: { env: NodeJS.ProcessEnv },
    env?: NodeJS.ProcessEnv,
    options?: { waitReady?: boolean },
  ): Promise<ServiceProcess>;
  ask<S extends z.ZodType>(subject: string, body: object, schema: S): Promise<z.output<S>>;
  /** Starts a job and resolves with it when it has ended. */
  send(source: string, body: object): Promise<Job>;
  /** Starts a job and gives its id. */
  begin(source: string, body: object): Promise<string>;
  status(source: string, job: string): Promise<Job | undefined>;
  /** Resolves with the job when it has ended; a sender that is away is waited for. */
  ended(source: string, job: string): Promise<Job>;
}

/**
 * Hosts and services on one NATS, all ended and removed when the test is over.
 * @param options of the test's own connection, where NATS asks who it is
 */
export async function useFleet(url: string, options: Partial<BusOptions> = {}): Promise<Fleet> {
  const env = { NATS_URL: url };
  const bus = await useBus(url, options);
  const status = async (source: string, job: string): Promise<Job | undefined> =>
    (await request(bus, subjects.send(source, 'status'), { job }, sendStatusSchema, patienceMs)).jobs[0];
  const fleet: Fleet = {
    bus,
    async host(name) {
      const host = await makeSimHost(name);
      onTestFinished(() => host.remove());
      return host;
    },
    async start(service, host, more = {}, options = {}) {
      const running = await startService(service, { ...host.env, ...env, ...quick, ...more }, options);
      onTestFinished(async () => {
        await running.end('SIGTERM');
      });
      return running;
    },
    ask: (subject, body, schema) => request(bus, subject, body, schema),
    begin: async (source, body) =>
      (await request(bus, subjects.send(source, 'start'), body, sendStartedSchema, patienceMs)).job,
    status,
    async ended(source, job) {
      for (;;) {
        const known = await status(source, job).catch((error) => {
          if (['UNREACHABLE', 'TIMEOUT'].includes(error.code)) return undefined;
          throw error;
        });
        if (known && ['done', 'failed'].includes(known.state)) return known;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    },
    send: async (source, body) => fleet.ended(source, await fleet.begin(source, body)),
  };
  return fleet;
}
