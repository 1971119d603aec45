import type { Command } from 'commander';
import { connectBus } from '../../lib/bus/connect.ts';
import { ZpsendError } from '../../schemas/errors.ts';
import type { Check } from '../../schemas/output.ts';
import { checkHosts, checkJetStream, checkNode, checkPermissions, checkZfs } from '../checkup.ts';
import type { Cli, JsonOption } from '../cli.ts';
import { exit } from '../exit.ts';
import { thisHost } from '../this-host.ts';

export function addDoctor(program: Command, cli: Cli): void {
  program
    .command('doctor')
    .summary('check this host, and say what to mend')
    .description('Checks Node, NATS, JetStream, permissions, ZFS and pools of this host. Changes nothing.')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\nExit status: 0 nothing bad, 1 something to mend.\n\nExample:\n  NATS_URL=nats://hub zpsend doctor',
    )
    .action(cli.action((options: JsonOption) => doctor(cli, options)));
}

async function doctor(cli: Cli, { json }: JsonOption): Promise<number> {
  const host = thisHost(cli.env);
  const checks: Check[] = [
    { what: 'this host', result: 'good', found: host },
    checkNode(process.version),
    ...(await checkBus(cli, host)),
  ];
  if (json) cli.io.out(JSON.stringify({ checks }));
  else checks.flatMap(linesOf).forEach(cli.io.out);
  return checks.some(({ result }) => result === 'bad') ? exit.failed : exit.done;
}

async function checkBus(cli: Cli, host: string): Promise<Check[]> {
  const refusals: string[] = [];
  try {
    const bus = await connectBus({
      name: 'zpsend doctor',
      env: cli.env,
      wait: false,
      onStatus: (text) => refusals.push(text),
    });
    try {
      return [
        { what: 'nats', result: 'good', found: `connected to ${bus.server}` },
        await checkJetStream(bus),
        await checkPermissions(bus, host, refusals),
        await checkHosts(bus),
        ...(await checkZfs(cli, bus, host)),
      ];
    } finally {
      await bus.close();
    }
  } catch (thrown) {
    const mend = 'without NATS nothing else can be checked; zpsend demo brings one of its own';
    return [{ what: 'nats', result: 'bad', found: ZpsendError.from(thrown).message, mend }];
  }
}

const linesOf = ({ what, result, found, mend }: Check): string[] => [
  `${result.padEnd(4)}  ${what.padEnd(11)}  ${found}`,
  ...(mend === undefined ? [] : [`${' '.repeat(19)}${result === 'bad' ? 'mend' : 'hint'}: ${mend}`]),
];
