/** One environment variable of the commands and services. Texts are in Markdown. */
interface Variable {
  readonly means: string;
  /** Its value if it is unset, or what happens then. */
  readonly default?: string;
  /** The key of the configuration file that it replaces; its value then has the form of that key. */
  readonly replaces?: string;
  readonly example?: string;
}

/** The variables that connect to NATS; each has its name in the `nats` CLI. `field` is the setting that it sets. */
export const natsVariables = {
  NATS_URL: { field: 'url', means: 'The server, or several, separated by commas.', default: '`nats://127.0.0.1:4222`' },
  NATS_USER: { field: 'user', means: 'The name of the user. Without a password, it is a token.' },
  NATS_PASSWORD: { field: 'password', means: 'The password of the user.' },
  NATS_TOKEN: { field: 'token', means: 'A token.' },
  NATS_CREDS: { field: 'creds', means: 'A credentials file of `nsc`.' },
  NATS_NKEY: { field: 'nkey', means: 'A file with the seed of a user nkey.' },
  NATS_JWT: { field: 'jwt', means: 'The JWT of the user, with `NATS_SEED`.' },
  NATS_SEED: { field: 'seed', means: 'The seed of the user nkey, with `NATS_JWT`.' },
  NATS_CA: { field: 'ca', means: "The certificates of the CAs that sign the server's certificate." },
  NATS_CERT: { field: 'cert', means: "The client's certificate." },
  NATS_KEY: { field: 'key', means: 'The private key of `NATS_CERT`.' },
} as const satisfies Record<string, Variable & { field: string }>;

export type NatsVariable = keyof typeof natsVariables;

export const otherNatsVariables = {
  NATS_CONTEXT: { means: 'A context of the `nats` CLI, for settings that no other `NATS_*` variable has.' },
  NATS_SOCKS_PROXY: { means: 'Refused: zpsend does not support a proxy.' },
} as const satisfies Record<string, Variable>;

/** The variables of zpsend, without those of `keyVariables`. */
export const zpsendVariables = {
  ZPSEND_CONFIG: {
    means: 'The configuration file.',
    default: '`/etc/zpsend.yaml` or `/etc/zpsend/zpsend.yaml`, if one exists; both are an error',
  },
  ZPSEND_ENV_FILE: {
    means:
      "A file with variables, in systemd's format `KEY=value`. Variables of the environment win. " +
      'It supplies `NATS_*` and `ZPSEND_INBOX_PREFIX` only if the environment has no `NATS_*`.',
    default: '`/etc/zpsend/env`, if it exists',
  },
  ZPSEND_HOST: {
    means: 'The name of this host on the bus.',
    default: "`host` of the file, else the system's host name, with `-` for each dot",
    replaces: 'host',
    example: 'smos-01',
  },
  ZPSEND_MACHINE_ID: {
    means: 'Any text, in place of the id of the machine.',
    default: '`machineId` of the file, else `/etc/machine-id`',
    replaces: 'machineId',
  },
  ZPSEND_ALLOW: {
    means:
      'Which hosts may write here: `HOST=DATASET`, separated by commas. `*` is every host. An empty value allows none.',
    replaces: 'receive.allow',
    example: 'smos-01=zones/backup,*=tank',
  },
  ZPSEND_INBOX_PREFIX: {
    means:
      'The prefix of reply subjects, for a NATS user that may not subscribe to `_INBOX.>`. A viewer sets `_INBOX.NAME.viewer`.',
    default: '`_INBOX`; if that is denied, `_INBOX.<host>`',
    replaces: 'nats.inboxPrefix',
    example: '_INBOX.smos-01',
  },
  ZPSEND_LOG: {
    means: 'The form of the log: `json` or `people`.',
    default: '`people` on a terminal, else `json`',
  },
  ZPSEND_LOG_LEVEL: {
    means: 'The least important lines of the log: `trace`, `debug`, `info`, `warn`, `error` or `fatal`.',
    default: '`info`',
  },
} as const satisfies Record<string, Variable>;

/** Each of these variables replaces one key of a section, and has the form of that key. */
export const keyVariables = {
  ZPSEND_MAX_CONCURRENT: ['receive', 'maxConcurrent'],
  ZPSEND_BWLIMIT: ['receive', 'bwlimit'],
  ZPSEND_HOLD_NEWEST: ['receive', 'holdNewest'],
  ZPSEND_PARALLEL: ['send', 'parallel'],
  ZPSEND_BOOKMARKS: ['send', 'bookmarks'],
  ZPSEND_LOCK_SECONDS: ['timing', 'lockSeconds'],
  ZPSEND_SILENCE_SECONDS: ['timing', 'silenceSeconds'],
  ZPSEND_PATIENCE_SECONDS: ['timing', 'patienceSeconds'],
} as const satisfies Record<string, readonly ['receive' | 'send' | 'timing', string]>;

/** The variable of each key that one replaces, by the path of the key (`send.parallel`). */
export const variableOfKey: ReadonlyMap<string, string> = new Map([
  ...Object.entries(natsVariables).map(([name, { field }]) => [`nats.${field}`, name] as const),
  ...Object.entries(zpsendVariables).flatMap(([name, variable]) =>
    'replaces' in variable ? [[variable.replaces, name] as const] : [],
  ),
  ...Object.entries(keyVariables).map(([name, path]) => [path.join('.'), name] as const),
]);

/** The places of the NATS settings, in order: each setting comes from the first that has it. */
export const natsOrder: readonly string[] = [
  '`NATS_*` of the environment. If none is set: `NATS_*` of the file `/etc/zpsend/env` (`ZPSEND_ENV_FILE`).',
  'The context that `NATS_CONTEXT` names.',
  'Without `NATS_CONTEXT`: `nats:` of the configuration file, then the context that `nats.context` names.',
  'The context that `nats context select` selected, only if no place above has a setting.',
  'The server `nats://127.0.0.1:4222`, without credentials.',
];

/** Variables of the system that zpsend uses. */
export const otherVariables = {
  PATH: {
    means: 'Where `zfs` and `zpool` are found.',
    default: '`/usr/local/sbin`, `/usr/sbin` and `/sbin` are added',
  },
  XDG_CONFIG_HOME: {
    means: 'The folder with the contexts of the `nats` CLI, in `nats/context`.',
    default: '`~/.config`',
  },
  NOTIFY_SOCKET: { means: 'Set by systemd: where a service reports its state.' },
  NATS_SERVER_BIN: { means: 'The nats-server of `zpsend demo`.', default: 'on `PATH`, else downloaded' },
} as const satisfies Record<string, Variable>;
