import type { Bus } from '../../../lib/bus/connection/connect.ts';
import { request } from '../../../lib/bus/rpc/request.ts';
import { subjects } from '../../../lib/bus/subjects.ts';
import { timing } from '../../../lib/time/timing.ts';
import { ZpsendError } from '../../../schemas/errors.ts';
import { infoSchema } from '../../../schemas/host.ts';

/** The services of a host; undefined if it does not answer. */
const servicesOf = async (bus: Bus, host: string): Promise<string[] | undefined> => {
  const info = await request(bus, subjects.info(host), {}, infoSchema, timing.job.servicesMs).catch(() => undefined);
  return info?.instances.map(({ service }) => service);
};

/** Does the host answer, without a receiver? */
export const isWithoutReceiver = async (bus: Bus, host: string): Promise<boolean> =>
  (await servicesOf(bus, host))?.includes('receiver') === false;

/**
 * An error that names the services that `host` runs in place of a receiver. Any other error, or one of our own connection, is returned as it is.
 * @param subject of the request without an answer
 */
export async function explainAbsence(bus: Bus, host: string, subject: string, error: unknown): Promise<unknown> {
  if (!(error instanceof ZpsendError) || error.code !== 'UNREACHABLE') return error;
  const { details } = error;
  if (details?.subject !== subject || error.reason === 'connection-lost') return error;
  const services = (await servicesOf(bus, host)) ?? [];
  if (services.includes('receiver')) return error;
  const message = services.includes('sender')
    ? `${host} runs no receiver (it has a sender): start zpsend receiver there`
    : `no receiver of ${host} answers. Check that zpsend receiver runs there, on this NATS. zpsend hosts lists the hosts that answer`;
  return new ZpsendError('UNREACHABLE', message, details);
}
