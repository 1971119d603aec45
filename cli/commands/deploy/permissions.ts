import { type Command, Option } from 'commander';
import { z } from 'zod';
import { inboxPrefix, permissionsOf, viewerInboxPrefix, viewerPermissions } from '../../../lib/bus/permissions.ts';
import { hostSchema, jetStreamDomainSchema } from '../../../schemas/names.ts';
import { listBy, valueBy } from '../../args/option-values.ts';
import type { Cli, JsonOption } from '../../context.ts';
import { exit, usage } from '../../exit-codes.ts';

interface Options extends JsonOption {
  nkey?: string;
  sender?: true;
  receiver?: true;
  viewer?: true;
  from?: string[];
  orders?: string[];
  jsDomain?: string;
}

const nkeySchema = z.string().regex(/^U[A-Z2-7]{55}$/, 'the public key of a user, 56 characters that begin with U');

/** `zpsend deploy permissions` */
export function addPermissions(deploy: Command, cli: Cli): void {
  deploy
    .command('permissions')
    .summary('print the user of one host, or of a viewer, where all share one account')
    .description(
      "Prints the user of one host for nats-server's configuration, with exactly what its services need. Hosts of one account " +
        'trust each other with everything: zpsend deploy accounts gives each an account of its own.',
    )
    .argument('<host>', 'the host, as zpsend calls it', valueBy(hostSchema))
    .option('--nkey <public key>', 'its public user nkey (nats auth nkey show FILE)', valueBy(nkeySchema))
    .option('--sender', 'it only sends; without this and --receiver it does both')
    .option('--receiver', 'it only receives')
    .addOption(
      new Option('--viewer', 'it is no host, and only looks: status, locks, policies, inventories, events').conflicts([
        'sender',
        'receiver',
        'from',
        'orders',
      ]),
    )
    .option(
      '--from <host>',
      'it fetches what that host keeps in its store while it is away, and hears what it sends to several at once; it may read all of both (repeatable)',
      listBy(z.array(hostSchema)),
    )
    .option(
      '--orders <host>',
      'it may order that host to send, as far as send.allow there lets it (repeatable)',
      listBy(z.array(hostSchema)),
    )
    .option(
      '--js-domain <domain>',
      'the JetStream domain of their stores, where its own server is in another: a hub',
      valueBy(jetStreamDomainSchema),
    )
    .option('--json', 'print JSON')
    .addHelpText('after', help)
    .action(cli.action((host: string, options: Options) => permissions(cli, host, options)));
}

const help = `
Goes into "authorization { users: [ ... ] }", or into the users of an account. The host runs its services with
ZPSEND_INBOX_PREFIX=_INBOX.<host> and NATS_NKEY=<file of the seed>, in /etc/zpsend/env or as nats: in the configuration file. It makes no bucket:
zpsend deploy setup --source HOST makes all, as an administrator (deploy/README.md).

Example:
  zpsend deploy permissions smos-00 --nkey UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4`;

async function permissions({ io }: Cli, host: string, options: Options): Promise<number> {
  const { nkey, from = [], orders = [], jsDomain: domain } = options;
  const isBoth = !options.sender && !options.receiver;
  const [sender, receiver] = [isBoth || options.sender === true, isBoth || options.receiver === true];
  const roles = { sender, receiver, from, orders, domain };
  if (from.length > 0 && !receiver) throw usage('--from is for a host that receives');
  if (domain !== undefined && from.length === 0) throw usage('--js-domain says where the stores of --from are');
  const { publish, subscribe } = options.viewer ? viewerPermissions(host) : permissionsOf(host, roles);
  const inboxes = options.viewer ? viewerInboxPrefix(host) : inboxPrefix(host);
  if (options.json) {
    io.out(JSON.stringify({ host: host, inboxPrefix: inboxes, publish, subscribe }));
    return exit.done;
  }
  const does = [...(roles.sender ? ['sends'] : []), ...(roles.receiver ? ['receives'] : [])].join(' and ');
  const what = options.viewer ? 'looks' : does;
  io.out(`# ${host} ${what}; it runs with ZPSEND_INBOX_PREFIX=${inboxes}`);
  io.out('{');
  io.out(`  nkey: ${nkey ?? '"the public key of its nkey"'}`);
  io.out('  permissions: {');
  for (const [verb, subjects] of Object.entries({ publish, subscribe })) {
    io.out(`    ${verb}: { allow: [`);
    for (const subject of subjects) io.out(`      ${JSON.stringify(subject)}`);
    io.out('    ] }');
  }
  io.out('  }');
  io.out('}');
  return exit.done;
}
