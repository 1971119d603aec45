import { z } from 'zod';
import { hostSchema, jetStreamDomainSchema } from './names.ts';
import { duration, size } from './units.ts';

const nkeySchema = z
  .string()
  .regex(/^U[A-Z2-7]{55}$/, 'not the public key of a user: 56 characters that begin with U (nats auth nkey show FILE)');

/** Who a NATS user is to the server: an nkey, or a name with a password (best as `nats server passwd` encrypts it). */
const userShape = {
  nkey: nkeySchema.optional(),
  user: z.string().min(1).max(128).optional(),
  password: z.string().min(1).max(256).optional(),
};

const userSchema = z.strictObject(userShape);

/** A name for people, one token of a subject. */
const nameSchema = hostSchema;
const isNoAddress = 'not a host name or an address without a port (a port stands in "ports", for all servers)';
/** A host name or an address, without a port. */
const addressSchema = z.union([z.string().regex(/^[A-Za-z0-9._-]{1,253}$/, isNoAddress), z.ipv6(isNoAddress)]);
const pathSchema = z.string().regex(/^\/[^"\\\n]*$/, 'not an absolute path');
const bytes = size(
  z
    .number()
    .int()
    .min(1024 * 1024),
);

const fleetHostSchema = z.strictObject({
  ...userShape,
  /** What it does; both without. */
  roles: z
    .array(z.enum(['sender', 'receiver']))
    .min(1)
    .default(['sender', 'receiver']),
  /** Hosts whose stored streams it fetches, and whose shared streams it may read. */
  from: z.array(hostSchema).default([]),
  /** Hosts that it may order to send, as far as their `send.allow` lets it. */
  orders: z.array(hostSchema).default([]),
  /** The leaf site whose server it connects to; without, the servers in the middle. */
  site: nameSchema.optional(),
  /** The public key with which that site's server speaks for this host (its seed lies on that server). */
  link: nkeySchema.optional(),
});

const serverSchema = z.strictObject({ name: nameSchema, address: addressSchema });

const fleetTlsSchema = z.strictObject({
  cert: pathSchema.default('/etc/nats/server.pem'),
  key: pathSchema.default('/etc/nats/server-key.pem'),
  ca: pathSchema.default('/etc/nats/ca.pem'),
});

/** How large the buckets and streams may get. */
export const bucketBoundsSchema = z.strictObject({
  /** Copies in a cluster; as many as it has servers, and three at most, without. */
  replicas: z.number().int().min(1).max(5).optional(),
  /** Bytes of one entry of locks, status, host names and policies. */
  maxValueSize: size(z.number().int().min(1024)).default(64 * 1024),
  /** Bytes of each of those buckets. */
  maxBucketSize: bytes.default(256 * 1024 * 1024),
  lockSeconds: duration(z.number().min(1).max(3600), 1, 'seconds').default(30),
  /** What may wait for targets that are away, for each source. */
  storeSize: bytes.default(16 * 1024 ** 3),
  storeHours: duration(z.number().min(1).max(8760), 3600, 'hours').default(168),
});

/** A fleet, as `zpsend deploy` takes it: who there is, and where the NATS servers are. */
export const fleetFileSchema = z.strictObject({
  /** One server, or all of a cluster. */
  servers: z.array(serverSchema).min(1).max(9),
  /** Leaf servers, each for its own hosts. */
  sites: z.array(serverSchema).max(256).default([]),
  hosts: z.record(hostSchema, fleetHostSchema),
  /** Who gives orders, and sets up the buckets. */
  admins: z.record(nameSchema, userSchema),
  /** Who only looks. */
  viewers: z.record(nameSchema, userSchema).default({}),
  /** Files on each server; `off` for trials on one machine. */
  tls: z.union([z.literal('off'), fleetTlsSchema]).prefault({}),
  jetstream: z
    .strictObject({
      folder: pathSchema.default('/var/lib/nats'),
      /** Bytes that all buckets and streams of a server may take on its disk; what `buckets` adds up to, without. */
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
