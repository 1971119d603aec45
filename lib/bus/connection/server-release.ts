import { z } from 'zod';
import type { Bus } from './connect.ts';

type Release = readonly [major: number, minor: number, patch: number];

function releaseOf(version: string): Release | undefined {
  const [, major, minor, patch] = /^v?(\d+)\.(\d+)\.(\d+)/.exec(version) ?? [];
  return major === undefined ? undefined : [Number(major), Number(minor), Number(patch)];
}

const isBefore = (one: Release, other: Release): boolean => {
  const at = one.findIndex((part, index) => part !== other[index]);
  return at >= 0 && (one[at] ?? 0) < (other[at] ?? 0);
};

export interface ReleaseFault {
  readonly what: 'not strict' | 'answers lost';
  readonly words: string;
}

/** The known faults of a release of nats-server that affect zpsend; none for an unparsable version. */
export function releaseFaults(version: string): ReleaseFault[] {
  const release = releaseOf(version);
  if (!release) return [];
  const isFixed =
    release[1] === 12 && release[0] === 2 ? !isBefore(release, [2, 12, 12]) : !isBefore(release, [2, 14, 3]);
  return [
    ...(isBefore(release, [2, 12, 0])
      ? [
          {
            what: 'not strict',
            words: 'treats a reply of JetStream as a request to JetStream, unless jetstream { strict: true } is set',
          } as const,
        ]
      : []),
    ...(isFixed
      ? []
      : [
          {
            what: 'answers lost',
            words:
              'may lose replies between leaf servers that are connected to different servers of a cluster (nats-server#8317)',
          } as const,
        ]),
  ];
}

const namesSchema = z.looseObject({ error: z.looseObject({ err_code: z.number().optional() }).optional() });

/**
 * Does JetStream refuse a request with an unknown field? Undefined if this user may not ask, or JetStream is off.
 */
export async function isStrict(bus: Bus): Promise<boolean | undefined> {
  try {
    const query = JSON.stringify({ zpsend_is_no_field: 1 });
    const answer = await bus.nc.request('$JS.API.STREAM.NAMES', query, { timeout: 4000 });
    const { error } = namesSchema.parse(answer.json());
    // 10025: invalid JSON
    return error ? (error.err_code === 10025 ? true : undefined) : false;
  } catch {
    return undefined;
  }
}

const userSchema = z.looseObject({ data: z.looseObject({ account: z.string() }) });

/** The account of this connection's user; undefined if this user may not ask. */
export async function accountOf(bus: Bus): Promise<string | undefined> {
  try {
    const answer = await bus.nc.request('$SYS.REQ.USER.INFO', '', { timeout: 1500 });
    return userSchema.parse(answer.json()).data.account;
  } catch {
    return undefined;
  }
}
