import { z } from 'zod';

/** An absolute path, since services and commands start in different folders. */
const fileSchema = z.string().max(4096).regex(/^\//, 'not an absolute path, such as /etc/zpsend/smos-00.nk');
const textSchema = z.string().min(1).max(4096);

/** `nats:` of the configuration file: the NATS server, and the identity of this host. Every field is optional. */
export const natsConfigSchema = z
  .strictObject({
    /** One server, or several, separated by commas. */
    url: textSchema,
    servers: z.array(textSchema).min(1).max(64),
    /** A credentials file of `nsc`. */
    creds: fileSchema,
    /** A file with the seed of a user nkey. */
    nkey: fileSchema,
    user: textSchema,
    password: textSchema,
    passwordFile: fileSchema,
    token: textSchema,
    tokenFile: fileSchema,
    /** The certificates of the CAs that sign the server's. */
    ca: fileSchema,
    /** The client's certificate, and its key. */
    cert: fileSchema,
    key: fileSchema,
    /** The TLS handshake comes before the server's greeting (`handshake_first` of nats-server). */
    tlsFirst: z.boolean(),
    /** The prefix of reply subjects, if the user may not subscribe to `_INBOX.>`. */
    inboxPrefix: textSchema,
    /** A context of the `nats` CLI, for settings that are neither here nor in the environment. */
    context: textSchema,
  })
  .partial()
  .refine(({ url, servers }) => !url || !servers, { error: 'url and servers exclude each other' })
  .refine(({ password, passwordFile }) => !password || !passwordFile, {
    error: 'password and passwordFile exclude each other',
  })
  .refine(({ token, tokenFile }) => !token || !tokenFile, { error: 'token and tokenFile exclude each other' });

export type NatsConfig = z.infer<typeof natsConfigSchema>;
