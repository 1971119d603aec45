import { z } from 'zod';
import { hostSchema, jetStreamDomainSchema } from './names.ts';
import { duration, size } from './units.ts';

const nkeySchema = z
  .string()
  .regex(/^U[A-Z2-7]{55}$/, 'not the public key of a user: 56 characters that begin with U (nats auth nkey show FILE)');

/** The credentials of a NATS user: an nkey, or a name with a password (preferably encrypted by `nats server passwd`). */
const userShape = {
  nkey: nkeySchema.optional(),
  user: z.string().min(1).max(128).optional(),
  password: z.string().min(1).max(256).optional(),
};

const userSchema = z.strictObject(userShape);

/** A display name that is one subject token. */
const nameSchema = hostSchema;
const addressFault = 'not a host name or an address without a port ("ports" sets the port of all servers)';
/** A host name or an address, without a port. */
const addressSchema = z.union([z.string().regex(/^[A-Za-z0-9._-]{1,253}$/, addressFault), z.ipv6(addressFault)]);
const pathSchema = z.string().regex(/^\/[^"\\\n]*$/, 'not an absolute path');
const bytes = size(
  z
    .number()
    .int()
    .min(1024 * 1024),
);

const fleetHostSchema = z.strictObject({
  ...userShape,
  /** Its services; both when absent. */
  roles: z
    .array(z.enum(['sender', 'receiver']))
    .min(1)
    .default(['sender', 'receiver']),
  /** Hosts whose stored streams it fetches and whose shared streams it reads. */
  from: z.array(hostSchema).default([]),
  /** Hosts that it may order to send, within their `send.allow`. */
  orders: z.array(hostSchema).default([]),
  /** The leaf site to whose server it connects; when absent, the central servers. */
  site: nameSchema.optional(),
  /** The public key with which that site's server connects on behalf of this host (its seed is on that server). */
  link: nkeySchema.optional(),
});

const serverSchema = z.strictObject({ name: nameSchema, address: addressSchema });

const fleetTlsSchema = z.strictObject({
  cert: pathSchema.default('/etc/nats/server.pem'),
  key: pathSchema.default('/etc/nats/server-key.pem'),
  ca: pathSchema.default('/etc/nats/ca.pem'),
});

/** The size limits of the buckets and streams. */
export const bucketBoundsSchema = z.strictObject({
  /** Replicas in a cluster; when absent, one for each server, at most three. */
  replicas: z.number().int().min(1).max(5).optional(),
  /** Bytes of one entry of locks, status, host names and policies. */
  maxValueSize: size(z.number().int().min(1024)).default(64 * 1024),
  /** Bytes of each of those buckets. */
  maxBucketSize: bytes.default(256 * 1024 * 1024),
  lockSeconds: duration(z.number().min(1).max(3600), 1, 'seconds').default(30),
  /** The size limit of each source's store, in bytes. */
  storeSize: bytes.default(16 * 1024 ** 3),
  storeHours: duration(z.number().min(1).max(8760), 3600, 'hours').default(168),
});

/** The input of `zpsend deploy`: the hosts and users of a fleet, and its NATS servers. */
export const fleetFileSchema = z.strictObject({
  /** One server, or all of a cluster. */
  servers: z.array(serverSchema).min(1).max(9),
  /** Leaf servers, each for its own hosts. */
  sites: z.array(serverSchema).max(256).default([]),
  hosts: z.record(hostSchema, fleetHostSchema),
  /** Users who may send all requests, and create the buckets. */
  admins: z.record(nameSchema, userSchema),
  /** Users who only read. */
  viewers: z.record(nameSchema, userSchema).default({}),
  /** Files on each server; `off` for a trial on one machine. */
  tls: z.union([z.literal('off'), fleetTlsSchema]).prefault({}),
  jetstream: z
    .strictObject({
      folder: pathSchema.default('/var/lib/nats'),
      /** The limit of all buckets and streams on a server's disk, in bytes; when absent, the sum of `buckets`. */
      maxFileStore: bytes.optional(),
      maxMemoryStore: bytes.default(256 * 1024 * 1024),
      domain: jetStreamDomainSchema.optional(),
    })
    .prefault({}),
  ports: z
    .strictObject({
      clients: z.number().int().min(1).max(65535).default(4222),
      monitor: z.number().int().min(1).max(65535).default(8222),
      cluster: z.number().int().min(1).max(65535).default(6222),
      sites: z.number().int().min(1).max(65535).default(7422),
    })
    .prefault({}),
  buckets: bucketBoundsSchema.prefault({}),
});

export type Fleet = z.infer<typeof fleetFileSchema>;
export type FleetHost = z.infer<typeof fleetHostSchema>;
export type FleetUser = z.infer<typeof userSchema>;
export type BucketBounds = z.infer<typeof bucketBoundsSchema>;
