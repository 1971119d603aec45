import type { Bus } from '../../../lib/bus/connection/connect.ts';
import { request } from '../../../lib/bus/rpc/request.ts';
import { subjects } from '../../../lib/bus/subjects.ts';
import { timing } from '../../../lib/time/timing.ts';
import { ZpsendError } from '../../../schemas/errors.ts';
import { infoSchema } from '../../../schemas/host.ts';

/** What runs on a host; undefined where nothing answers. */
const servicesOf = async (bus: Bus, host: string): Promise<string[] | undefined> => {
  const info = await request(bus, subjects.info(host), {}, infoSchema, timing.job.servicesMs).catch(() => undefined);
  return info?.instances.map(({ service }) => service);
};

/** The host answers, and nothing there takes streams. */
export const isWithoutReceiver = async (bus: Bus, host: string): Promise<boolean> =>
  (await servicesOf(bus, host))?.includes('receiver') === false;

/**
 * Nobody takes streams on `host`: what runs there instead, in words. A lost connection of our own, or any other error, stays as it is.
 * @param subject on which nobody answered
 */
export async function explainAbsence(bus: Bus, host: string, subject: string, error: unknown): Promise<unknown> {
  if (!(error instanceof ZpsendError) || error.code !== 'UNREACHABLE') return error;
  const { details } = error;
  if (details?.subject !== subject || error.reason === 'connection-lost') return error;
  const services = (await servicesOf(bus, host)) ?? [];
  if (services.includes('receiver')) return error;
  const words = services.includes('sender')
    ? `${host} runs no receiver (it has a sender): start zpsend receiver there`
    : `no receiver of ${host} answers: is zpsend receiver running there, and on this NATS? zpsend hosts tells who answers`;
  return new ZpsendError('UNREACHABLE', words, details);
}
