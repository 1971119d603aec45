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

const nkeySchema = z.string().regex(/^U[A-Z2-7]{55}$/, 'a public user key has 56 characters and begins with U');

/** `zpsend deploy permissions` */
export function addPermissions(deploy: Command, cli: Cli): void {
  deploy
    .command('permissions')
    .summary('print the NATS user of a host, for a shared account')
    .description('Print the NATS user of a host, with exactly the permissions that it needs.')
    .argument('<host>', 'host name, as in zpsend hosts', valueBy(hostSchema))
    .option('--nkey <key>', 'public nkey of the user (nats auth nkey show FILE)', valueBy(nkeySchema))
    .option('--sender', 'the host only sends')
    .option('--receiver', 'the host only receives')
    .addOption(
      new Option('--viewer', 'not a host: reads status, locks, inventories').conflicts([
        'sender',
        'receiver',
        'from',
        'orders',
      ]),
    )
    .option('--from <host>', 'the source host whose store it may read', listBy(z.array(hostSchema)))
    .option('--orders <host>', 'a host that it may order to send', listBy(z.array(hostSchema)))
    .option('--js-domain <domain>', 'JetStream domain of those stores', valueBy(jetStreamDomainSchema))
    .option('--json', 'print JSON')
    .addHelpText('after', help)
    .action(cli.action((host: string, options: Options) => permissions(cli, host, options)));
}

const help = `
Hosts in one account trust each other with everything. zpsend deploy accounts
gives each host an account instead.

Without --sender and --receiver the host does both. --from and --orders can be
repeated. --from lets it fetch streams stored while it is offline, and share the
streams that go to several targets; it may read all of them. --orders is limited
by send.allow of that host.

Paste the output into "authorization { users: [ ... ] }" or into the users of an
account. On the host, set ZPSEND_INBOX_PREFIX=_INBOX.HOST and NATS_NKEY=FILE in
/etc/zpsend/env, or nats: in the configuration file. The host may not create
buckets: run zpsend deploy setup --source HOST as an administrator.

Example:
  zpsend deploy permissions smos-00 --from smos-01`;

async function permissions({ io }: Cli, host: string, options: Options): Promise<number> {
  const { nkey, from = [], orders = [], jsDomain: domain } = options;
  const isBoth = !options.sender && !options.receiver;
  const [sender, receiver] = [isBoth || options.sender === true, isBoth || options.receiver === true];
  const roles = { sender, receiver, from, orders, domain };
  if (from.length > 0 && !receiver)
    throw usage(`--from ${from.join(' ')}: ${host} does not receive: add --receiver, or leave out --sender`);
  if (domain !== undefined && from.length === 0) throw usage('--js-domain needs --from');
  const { publish, subscribe } = options.viewer ? viewerPermissions(host) : permissionsOf(host, roles);
  const inboxes = options.viewer ? viewerInboxPrefix(host) : inboxPrefix(host);
  if (options.json) {
    io.out(JSON.stringify({ host: host, inboxPrefix: inboxes, publish, subscribe }));
    return exit.done;
  }
  const does = [...(roles.sender ? ['sends'] : []), ...(roles.receiver ? ['receives'] : [])].join(' and ');
  const what = options.viewer ? 'reads' : does;
  io.out(`# ${host} ${what}; set ZPSEND_INBOX_PREFIX=${inboxes} there`);
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
