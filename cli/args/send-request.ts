import { z } from 'zod';
import { targetRoot } from '../../lib/plan/request/target-name.ts';
import { requestFault } from '../../lib/plan/request/validate-request.ts';
import { ZpsendError } from '../../schemas/errors.ts';
import { isWithin } from '../../schemas/names.ts';
import { type SendRequest, sendRequestSchema } from '../../schemas/plan.ts';
import { streamWishSchema } from '../../schemas/stream.ts';
import { usage } from '../exit-codes.ts';
import { parseBase, parseSource, parseTarget } from './names.ts';
import { propertiesOf } from './property-options.ts';
import type { SendOptions } from './send-options.ts';

/** The requests of `send` or `plan`: one for each target, all from one source host. */
export interface Requests {
  host: string;
  requests: SendRequest[];
}

/** @throws ZpsendError BAD_REQUEST for an invalid name, options that conflict, or two targets that overlap */
export function requestsOf(
  source: string,
  targets: readonly string[],
  options: SendOptions,
  thisHost: string,
): Requests {
  const { host, dataset } = parseSource(source, thisHost);
  const fields = fieldsOf(options, dataset);
  const { append } = options;
  const requests = targets.map((target) => ({
    dataset,
    to: { ...parseTarget(target, thisHost), ...(append && { append }) },
    ...fields,
  }));
  for (const request of requests) {
    // the planner's rules, before anything is sent
    const fault = requestFault(request, { host }, request.to);
    if (fault) throw ZpsendError.fromBody(fault.error);
  }
  const names = requests.map((request) => `${targetRoot(request)} on ${request.to.host}`);
  const twice = names.findIndex((name, at) => names.indexOf(name) !== at);
  if (twice >= 0) throw usage(`the target ${targets[twice]} is given twice (${names[twice]})`);
  refuseOverlaps(requests);
  return { host, requests };
}

/** If one target lies in another on the same host, two jobs would write into the same datasets. */
function refuseOverlaps(requests: readonly SendRequest[]): void {
  const roots = requests.filter((request) => request.package).map((request) => [request.to.host, targetRoot(request)]);
  for (const [at, [host = '', inner = '']] of roots.entries()) {
    const around = roots.find(([other, outer = ''], index) => index !== at && other === host && isWithin(inner, outer));
    if (around) throw usage(`the targets overlap: ${inner} on ${host} lies in ${around[1]}, which is a target too`);
  }
}

/** The options that are fields of a request, and those that are parts of its `stream`. */
const fieldsSchema = z.object(sendRequestSchema.omit({ dataset: true, to: true, from: true }).shape);
const streamSchema = z.object(streamWishSchema.shape);

function fieldsOf(options: SendOptions, dataset: string): Omit<SendRequest, 'dataset' | 'to'> {
  const { from, compress } = options;
  const stream = streamSchema.parse(options);
  const properties = propertiesOf(options);
  return {
    ...fieldsSchema.parse(options),
    ...(from !== undefined && { from: parseBase(from, dataset) }),
    ...(compress && { compression: compress }),
    ...(Object.keys(stream).length > 0 && { stream }),
    ...(properties && { properties }),
  };
}
