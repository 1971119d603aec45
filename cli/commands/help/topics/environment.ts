export const environment = `\
Environment variables

Each replaces a key of the configuration file:
  ZPSEND_HOST              host: the name of this host on the bus
  ZPSEND_MACHINE_ID        machineId: any text, in place of /etc/machine-id
  ZPSEND_ALLOW             receive.allow: HOST=DATASET,... (who may write where)
  ZPSEND_MAX_CONCURRENT    receive.maxConcurrent
  ZPSEND_BWLIMIT           receive.bwlimit
  ZPSEND_HOLD_NEWEST       receive.holdNewest
  ZPSEND_PARALLEL          send.parallel
  ZPSEND_BOOKMARKS         send.bookmarks
  ZPSEND_LOCK_SECONDS      timing.lockSeconds
  ZPSEND_SILENCE_SECONDS   timing.silenceSeconds
  ZPSEND_PATIENCE_SECONDS  timing.patienceSeconds

Others:
  ZPSEND_CONFIG            the configuration file (default: /etc/zpsend.yaml or
                           /etc/zpsend/zpsend.yaml)
  ZPSEND_ENV_FILE          a file of variables (default: /etc/zpsend/env)
  ZPSEND_INBOX_PREFIX      the prefix of reply subjects
  ZPSEND_LOG               json or people (default: people on a terminal)
  ZPSEND_LOG_LEVEL         debug, info, warn or error
  PAGER                    for long output of zpsend status on a terminal
  NATS_URL and others      zpsend help nats

An empty variable counts as absent, except ZPSEND_ALLOW: then no host may write.
Variables of the environment come before those of /etc/zpsend/env, and these
before the configuration file. zpsend config show prints each value's source.
`;
