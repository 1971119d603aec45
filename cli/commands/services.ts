import type { Command } from 'commander';
import type { Cli } from '../context.ts';
import { usage } from '../exit-codes.ts';

/** The services are run by the program around this command line, which knows them only over the bus; here is their help. */
export function addServices(program: Command, cli: Cli): void {
  const started = cli.action(async () => {
    throw usage('the services take no arguments: zpsend receiver, zpsend sender');
  });
  program
    .command('receiver')
    .summary('run the receiver of this host')
    .description(
      'Runs the receiver: lists, locks and receives for this host until it is told to end (SIGTERM, Ctrl-C).',
    )
    .addHelpText('after', `${configuration}\n\nExample:\n  ZPSEND_ALLOW=smos-01=zones/backup zpsend receiver`)
    .action(started);
  program
    .command('sender')
    .summary('run the sender of this host')
    .description('Runs the sender: plans and sends for this host until it is told to end (SIGTERM, Ctrl-C).')
    .addHelpText('after', `${configuration}\n\nExample:\n  NATS_URL=nats://hub zpsend sender`)
    .action(started);
}

const configuration = `
Environment:
  ZPSEND_HOST     this host's name on the bus (default: its OS name, dots as dashes)
  ZPSEND_MACHINE_ID   any text in place of /etc/machine-id, where this machine has none
  ZPSEND_CONFIG   configuration file (default: /etc/zpsend.yaml or /etc/zpsend/zpsend.yaml)
  ZPSEND_ALLOW    who may send into what: HOST=DATASET,... (receiver)
  ZPSEND_LOG      json or people (default: people on a terminal)
  NATS_URL, NATS_CREDS, NATS_NKEY, NATS_CA, NATS_CERT, NATS_KEY, NATS_CONTEXT   as the nats CLI reads them;
                  without them /etc/zpsend/env, then "nats:" in the configuration file, then the selected context`;
