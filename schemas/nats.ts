import { z } from 'zod';

/** A file by its whole path: services and commands start in different folders. */
const fileSchema = z.string().max(4096).regex(/^\//, 'a file is named by its whole path, as in /etc/zpsend/smos-00.nk');
const textSchema = z.string().min(1).max(4096);

/** `nats:` of the configuration file: where NATS is, and who this host is there. Every field is optional. */
export const natsConfigSchema = z
  .strictObject({
    /** One server, or several with commas between. */
    url: textSchema,
    servers: z.array(textSchema).min(1).max(64),
    /** A credentials file, as `nsc` makes it. */
    creds: fileSchema,
    /** A file with the seed of a user nkey. */
    nkey: fileSchema,
    user: textSchema,
    password: textSchema,
    passwordFile: fileSchema,
    token: textSchema,
    tokenFile: fileSchema,
    /** Certificates of those who sign the server's. */
    ca: fileSchema,
    /** The client's own certificate, and its key. */
    cert: fileSchema,
    key: fileSchema,
    /** The TLS handshake comes before the server's greeting (`handshake_first` of nats-server). */
    tlsFirst: z.boolean(),
    /** Where answers come, where the user may not subscribe to `_INBOX.>`. */
    inboxPrefix: textSchema,
    /** A context of the `nats` CLI, which has what is neither here nor in the environment. */
    context: textSchema,
  })
  .partial()
  .refine(({ url, servers }) => !url || !servers, { error: 'url and servers exclude each other' })
  .refine(({ password, passwordFile }) => !password || !passwordFile, {
    error: 'password and passwordFile exclude each other',
  })
  .refine(({ token, tokenFile }) => !token || !tokenFile, { error: 'token and tokenFile exclude each other' });

export type NatsConfig = z.infer<typeof natsConfigSchema>;
