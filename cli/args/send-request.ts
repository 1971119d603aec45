import { targetRoot } from '../../lib/plan/request/target-name.ts';
import { requestFault } from '../../lib/plan/request/validate-request.ts';
import { type ConflictPolicy, conflictPolicySchema } from '../../schemas/conflict.ts';
import { ZpsendError } from '../../schemas/errors.ts';
import { isWithin } from '../../schemas/names.ts';
import { maxParallel, type SendRequest, sendRequestSchema } from '../../schemas/plan.ts';
import { type Channel, type CompressionMode, channelSchema, compressionModeSchema } from '../../schemas/transfer.ts';
import { rate, rateWords } from '../../schemas/units.ts';
import { usage } from '../exit-codes.ts';
import { parseBase, parseSource, parseTarget } from './names.ts';
import { propertiesOf } from './property-options.ts';
import type { SendOptions } from './send-options.ts';

/** What `send` and `plan` were asked for: one request per target, all from one source host. */
export interface Asked {
  host: string;
  requests: SendRequest[];
}

/** @throws ZpsendError BAD_REQUEST for names that cannot be, flags that conflict, or a target given twice */
export function askedFor(source: string, targets: readonly string[], options: SendOptions, thisHost: string): Asked {
  const { host, dataset } = parseSource(source, thisHost);
  const what = whatOf(options, dataset);
  const append = appendOf(options);
  const requests = targets.map((target) => ({
    dataset,
    to: { ...parseTarget(target, thisHost), ...(append && { append }) },
    ...what,
  }));
  for (const request of requests) {
    // the planner's own rules, asked before anybody is
    const fault = requestFault(request, { host }, request.to);
    if (fault) throw ZpsendError.fromBody(fault.error);
  }
  const places = requests.map((request) => `${targetRoot(request)} on ${request.to.host}`);
  const twice = places.findIndex((place, at) => places.indexOf(place) !== at);
  if (twice >= 0) throw usage(`the target ${targets[twice]} is given twice (${places[twice]})`);
  refuseOverlaps(requests);
  return { host, requests };
}

/** One package inside another on one host: two jobs would write into the same datasets. */
function refuseOverlaps(requests: readonly SendRequest[]): void {
  const places = requests.filter((request) => request.package).map((request) => [request.to.host, targetRoot(request)]);
  for (const [at, [host = '', inner = '']] of places.entries()) {
    const around = places.find(
      ([other, outer = ''], index) => index !== at && other === host && isWithin(inner, outer),
    );
    if (around)
      throw usage(`the targets overlap: ${inner} on ${host} lies inside ${around[1]}, where a package goes too`);
  }
}

function whatOf(options: SendOptions, dataset: string): Omit<SendRequest, 'dataset' | 'to'> {
  const {
    from,
    full,
    replicate,
    recursive,
    selfContained,
    skipMissing,
    exclude,
    snapshots,
    parallel,
    bwlimit,
    conflict,
    compression,
    channel,
  } = options;
  const properties = propertiesOf(options);
  if (replicate && recursive) {
    throw usage('-R and -r exclude each other: -R sends intermediate snapshots, -r only the one that is named');
  }
  return {
    ...(from !== undefined && { from: parseBase(from, dataset) }),
    ...(full && { full }),
    ...(replicate && { package: 'replication' }),
    ...(recursive && { package: 'recursive' }),
    ...(selfContained && { selfContained }),
    ...(skipMissing && { skipMissing }),
    ...(exclude && { exclude: patterns('exclude', exclude) }),
    ...(snapshots && { snapshots: patterns('snapshots', snapshots) }),
    ...(parallel !== undefined && { parallel: parallelOf(parallel) }),
    ...(bwlimit !== undefined && { bwlimit: bwlimitOf(bwlimit) }),
    ...streamOf(options),
    ...(conflict !== undefined && { conflict: conflictOf(conflict) }),
    ...(compression !== undefined && { compression: compressionOf(compression) }),
    ...(channel !== undefined && { channel: channelOf(channel) }),
    ...(properties && { properties }),
  };
}

/** Only what was asked for, either way. */
function streamOf({ raw, largeBlock, embed, compressed, props }: SendOptions): Pick<SendRequest, 'stream'> {
  const wish = { raw, largeBlock, embed, compressed, props };
  const asked = Object.entries(wish).filter(([, value]) => value !== undefined);
  return asked.length > 0 ? { stream: Object.fromEntries(asked) } : {};
}

function appendOf({ appendPath, appendLast }: SendOptions): 'path' | 'last' | undefined {
  if (appendPath && appendLast) throw usage('-d and -e exclude each other: append the path, or its last element');
  if (appendPath) return 'path';
  return appendLast ? 'last' : undefined;
}

export function patterns(option: 'exclude' | 'snapshots', given: string[]): string[] {
  const issue = sendRequestSchema.shape[option].safeParse(given).error?.issues[0];
  if (issue === undefined) return given;
  const which = typeof issue.path[0] === 'number' ? ` "${given[issue.path[0]]}"` : '';
  throw usage(`--${option}${which}: ${issue.message}`);
}

function bwlimitOf(text: string): number {
  const { data } = rate.safeParse(text);
  if (data !== undefined) return data;
  throw usage(`--bwlimit ${text}: ${rateWords}`);
}

function conflictOf(text: string): ConflictPolicy {
  const policy = conflictPolicySchema.safeParse(text);
  if (policy.success) return policy.data;
  throw usage(`--conflict ${text}: ${conflictPolicySchema.options.join(', ')}`);
}

function compressionOf(text: string): CompressionMode {
  const { data } = compressionModeSchema.safeParse(text);
  if (data) return data;
  throw usage(`--compress ${text}: one of ${compressionModeSchema.options.join(', ')}`);
}

function channelOf(text: string): Channel {
  const { data } = channelSchema.safeParse(text);
  if (data) return data;
  throw usage(`--channel ${text}: one of ${channelSchema.options.join(', ')}`);
}

function parallelOf(text: string): number {
  const count = Number(/^\d+$/.test(text) ? text : Number.NaN);
  if (sendRequestSchema.shape.parallel.safeParse(count).success) return count;
  throw usage(`--parallel ${text}: a number from 1 to ${maxParallel}`);
}
