import { z } from 'zod';
import { jobContextsOf } from '../../lib/plan/request/accept-request.ts';
import type { JobContext } from '../../lib/plan/request/job-context.ts';
import { type SendRequest, sendRequestSchema } from '../../schemas/request.ts';
import { streamWishSchema } from '../../schemas/stream.ts';
import { parseBase, parseSource, parseTarget } from './names.ts';
import { propertiesOf } from './property-options.ts';
import type { SendOptions } from './send-options.ts';

/** The requests of `send` or `plan`: one for each target, all from one source host. */
export interface Requests {
  host: string;
  requests: SendRequest[];
  /** The same, validated as the sender does it. */
  contexts: JobContext[];
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
  return { host, requests, contexts: jobContextsOf(host, requests) };
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
