import type { Command } from 'commander';
import { connectBus } from '../../lib/bus/connect.ts';
import { ZpsendError } from '../../schemas/errors.ts';
import type { Check, DoctorOutput } from '../../schemas/output.ts';
import {
  checkHosts,
  checkJetStream,
  checkLocks,
  checkNode,
  checkPermissions,
  checkStatus,
  checkZfs,
} from '../checkup.ts';
import type { Cli, JsonOption } from '../cli.ts';
import { exit } from '../exit.ts';
import { type Checked, checkLeftovers } from '../leftovers.ts';
import { thisHost } from '../this-host.ts';

export function addDoctor(program: Command, cli: Cli): void {
  program
    .command('doctor')
    .summary('check this host, and say what to mend')
    .description(
      'Checks Node, NATS, JetStream, permissions, ZFS and pools of this host, and lists what a crash left in ZFS: holds of ' +
        'jobs that run no more, old cursor bookmarks, interrupted receives. Changes nothing without --mend.',
    )
    .option(
      '--mend',
      'release those holds, those of bases in whose place newer ones stand too, and remove those bookmarks; nothing else',
    )
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\nExit status: 0 nothing bad, 1 something to mend.\n\nExample:\n  NATS_URL=nats://hub zpsend doctor',
    )
    .action(cli.action((options: DoctorOptions) => doctor(cli, options)));
}

interface DoctorOptions extends JsonOption {
  mend?: true;
}

const nothing: Omit<Checked, 'checks'> = { leftovers: [], mended: [], unmended: [] };

async function doctor(cli: Cli, { json, mend }: DoctorOptions): Promise<number> {
  const host = thisHost(cli.env);
  const { checks: found, ...left } = await checkBus(cli, host, mend === true);
  const checks: Check[] = [{ what: 'this host', result: 'good', found: host }, checkNode(process.version), ...found];
  if (json) cli.io.out(JSON.stringify({ checks, ...left } satisfies DoctorOutput));
  else checks.flatMap(linesOf).forEach(cli.io.out);
  return checks.some(({ result }) => result === 'bad') ? exit.failed : exit.done;
}

async function checkBus(cli: Cli, host: string, mend: boolean): Promise<Checked> {
  const refusals: string[] = [];
  try {
    const bus = await connectBus({
      name: 'zpsend doctor',
      env: cli.env,
      wait: false,
      onStatus: (text) => refusals.push(text),
    });
    try {
      const checks: Check[] = [
        { what: 'nats', result: 'good', found: `connected to ${bus.server}` },
        await checkJetStream(bus),
        await checkLocks(bus),
        await checkStatus(bus),
        await checkPermissions(bus, host, refusals),
        await checkHosts(bus),
        ...(await checkZfs(cli, bus, host)),
      ];
      if (checks.some(({ what, result }) => what === 'zfs' && result === 'bad')) return { ...nothing, checks };
      const { checks: more, ...left } = await checkLeftovers(cli, bus, host, mend);
      return { ...left, checks: [...checks, ...more] };
    } finally {
      await bus.close();
    }
  } catch (thrown) {
    const hint =
      'start nats-server -js, or say where one is: NATS_URL=nats://HOST:4222; without it nothing else can be checked';
    const check: Check = { what: 'nats', result: 'bad', found: ZpsendError.from(thrown).message, mend: hint };
    return { ...nothing, checks: [check] };
  }
}

const linesOf = ({ what, result, found, mend }: Check): string[] => [
  `${result.padEnd(4)}  ${what.padEnd(11)}  ${found}`,
  ...(mend === undefined ? [] : [`${' '.repeat(19)}${result === 'bad' ? 'mend' : 'hint'}: ${mend}`]),
];
