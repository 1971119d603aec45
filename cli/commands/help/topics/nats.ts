export const nats = `\
How commands and services find NATS

The server and the user come from the first of these that sets them:
  1. the environment: NATS_URL, NATS_CREDS, NATS_NKEY, NATS_USER, NATS_PASSWORD,
     NATS_TOKEN, NATS_JWT, NATS_SEED, NATS_CA, NATS_CERT, NATS_KEY,
     NATS_CONTEXT; without any of them, the same variables in /etc/zpsend/env
  2. nats: in the configuration file (url, creds, nkey, user, passwordFile, ca
     and others), and the context that it names
  3. the context that nats context select chose, if nothing above is set
  4. nats://127.0.0.1:4222

NATS_CONTEXT replaces nats: of the configuration file.
zpsend config show prints each value with its source. zpsend doctor connects,
and checks the permissions of the user. Neither prints a secret.

zpsend deploy accounts FLEET.yaml prints the configuration of the servers, with
an account for each host. zpsend deploy permissions prints the user of one host.

The services of one host, its commands and its cron jobs use the same settings.
Hosts that replicate need the same NATS system: one server, a cluster, or leaf
nodes of it. zpsend hosts lists the hosts that answer.
`;
