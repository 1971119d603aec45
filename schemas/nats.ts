import { z } from 'zod';

/** An absolute path, since services and commands start in different folders. */
const fileSchema = z
  .string()
  .max(4096)
  .regex(/^\//, 'not an absolute path, such as /etc/zpsend/smos-00.nk')
  .meta({ title: 'absolute path' });
const textSchema = z.string().min(1).max(4096);

const file = (description: string, example: string) => fileSchema.meta({ description, examples: [example] });
const text = (description: string, example: string) => textSchema.meta({ description, examples: [example] });

/** `nats:` of the configuration file: the NATS server, and the identity of this host. Every field is optional. */
export const natsConfigSchema = z
  .strictObject({
    url: text('The server, or several, separated by commas.', 'tls://nats.example:4222'),
    servers: z
      .array(textSchema)
      .min(1)
      .max(64)
      .meta({
        description: 'The servers as a list, in place of `url`.',
        examples: [['tls://nats-1.example:4222', 'tls://nats-2.example:4222']],
      }),
    creds: file('A credentials file of `nsc`.', '/etc/zpsend/smos-01.creds'),
    nkey: file('A file with the seed of a user nkey.', '/etc/zpsend/smos-01.nk'),
    user: text('The name of the NATS user.', 'smos-01'),
    password: text('Its password.', 'secret'),
    passwordFile: file('A file with its password.', '/etc/zpsend/nats.password'),
    token: text('A token, in place of user and password.', 'secret'),
    tokenFile: file('A file with the token.', '/etc/zpsend/nats.token'),
    ca: file("The certificates of the CAs that sign the server's certificate.", '/etc/zpsend/ca.pem'),
    cert: file("The client's certificate, for servers that require one.", '/etc/zpsend/smos-01.pem'),
    key: file('The private key of `cert`.', '/etc/zpsend/smos-01-key.pem'),
    tlsFirst: z.boolean().meta({
      description: "Start TLS before the server's greeting, for a server with `handshake_first`.",
      examples: [true],
    }),
    inboxPrefix: text(
      'The prefix of reply subjects, for a NATS user that may not subscribe to `_INBOX.>`.',
      '_INBOX.smos-01',
    ),
    context: text(
      'A context of the `nats` CLI, for settings that are neither here nor in the environment.',
      'production',
    ),
  })
  .partial()
  .refine(({ url, servers }) => !url || !servers, { error: 'url and servers exclude each other' })
  .refine(({ password, passwordFile }) => !password || !passwordFile, {
    error: 'password and passwordFile exclude each other',
  })
  .refine(({ token, tokenFile }) => !token || !tokenFile, { error: 'token and tokenFile exclude each other' });

export type NatsConfig = z.infer<typeof natsConfigSchema>;
