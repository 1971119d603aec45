import { eachInfoSchema, type Instance } from '../../../schemas/host.ts';
import type { Bus } from '../connection/connect.ts';
import { gather } from '../rpc/request.ts';
import { subjects } from '../subjects.ts';

/**
 * The instances that answer for a host name, on any machine. Returns at once if there is none.
 * @param ms how long to wait for their answers, in milliseconds
 */
export const answeringFor = async (bus: Bus, host: string, ms: number): Promise<Instance[]> =>
  (await gather(bus, subjects.each(subjects.info(host)), {}, eachInfoSchema, ms)).flatMap(({ instances }) => instances);
