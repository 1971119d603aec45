import type { Command } from 'commander';
import type { Cli } from '../context.ts';
import { usage } from '../exit-codes.ts';

// bin/zpsend.ts runs the services; here is their help
const refused = (cli: Cli) =>
  cli.action(async () => {
    throw usage('the services take no arguments: zpsend receiver, zpsend sender');
  });

export function addReceiver(program: Command, cli: Cli): void {
  program
    .command('receiver')
    .summary('run the receiver of this host')
    .description('Run the receiver of this host until SIGTERM or Ctrl-C.')
    .addHelpText('after', `${configuration}\n\nExample:\n  ZPSEND_ALLOW=smos-01=zones/backup zpsend receiver`)
    .action(refused(cli));
}

export function addSender(program: Command, cli: Cli): void {
  program
    .command('sender')
    .summary('run the sender of this host')
    .description('Run the sender of this host until SIGTERM or Ctrl-C.')
    .addHelpText('after', `${configuration}\n\nExample:\n  NATS_URL=nats://hub zpsend sender`)
    .action(refused(cli));
}

const configuration = `
Environment:
  ZPSEND_HOST        name of this host on the bus (default: its host name, with
                     "-" for each dot)
  ZPSEND_MACHINE_ID  any text, in place of /etc/machine-id
  ZPSEND_CONFIG      configuration file (default: /etc/zpsend.yaml or
                     /etc/zpsend/zpsend.yaml)
  ZPSEND_ALLOW       for the receiver: HOST=DATASET,... (who may write where)
  ZPSEND_LOG         json or people (default: people on a terminal)
  NATS_URL, NATS_CREDS, NATS_NKEY, NATS_CA, NATS_CERT, NATS_KEY, NATS_CONTEXT
                     as for the nats CLI (zpsend --help)`;
