import type { Command } from 'commander';
import { type Bus, connectBus } from '../../../lib/bus/connection/connect.ts';
import { ownMachine } from '../../../lib/machine/machine.ts';
import { hostWithoutConfig, type Settings } from '../../../lib/settings/settings.ts';
import type { Check, DoctorOutput } from '../../../schemas/output.ts';
import { selfOf } from '../../args/this-host.ts';
import { type Cli, type JsonOption, natsSources } from '../../context.ts';
import { exit } from '../../exit-codes.ts';
import { checkInbox, checkNats, checkPermissions, noNats } from './access.ts';
import {
  checkHosts,
  checkJetStream,
  checkLocalZfs,
  checkLocks,
  checkSendAllow,
  checkStatus,
  checkZfs,
} from './checks.ts';
import { checkConfig, checkEnvironmentFile, checkNode } from './here.ts';
import { checkMachine } from './machines.ts';
import { checkAccount, checkAnswers, checkBounds, checkServer } from './servers.ts';
import { type Checked, checkStaleMarks, noStaleMarks, unknownStaleMarks } from './stale.ts';

export function addDoctor(program: Command, cli: Cli): void {
  program
    .command('doctor')
    .summary('check this host, and print what to repair')
    .description('Check this host, and print what to repair. Changes nothing without --fix.')
    .option('--fix', 'release the listed holds, remove the listed bookmarks')
    .option('--json', 'print JSON')
    .addHelpText('after', help)
    .action(cli.action((options: DoctorOptions) => doctor(cli, options)));
}

const help = `
Checks Node, the configuration, NATS, JetStream, permissions, ZFS and the pools.
Lists what a crash left in ZFS: holds of dead jobs, bookmarks and holds that a
newer one replaces, and interrupted receives. --fix does not touch the receives:
the next job continues or discards them.

Exit status: 0 no check is bad, 1 at least one is.

Example:
  zpsend doctor`;

interface DoctorOptions extends JsonOption {
  fix?: true;
}

async function doctor(cli: Cli, { json, fix }: DoctorOptions): Promise<number> {
  const { settings, check: config } = await checkConfig(cli);
  const host = settings?.host ?? hostWithoutConfig(cli.env);
  const name: Check =
    host === undefined
      ? { what: 'this host', result: 'bad', found: 'no valid host name', remedy: 'set ZPSEND_HOST' }
      : { what: 'this host', result: 'good', found: host };
  const { checks: found, ...left } = await checkRest(cli, host ?? 'this-host', settings, fix === true);
  const checks: Check[] = [name, checkNode(process.version), config, ...checkEnvironmentFile(cli), ...found];
  if (json) cli.io.out(JSON.stringify({ checks, ...left } satisfies DoctorOutput));
  else checks.flatMap(linesOf).forEach(cli.io.out);
  return checks.some(({ result }) => result === 'bad') ? exit.failed : exit.done;
}

/** All checks with NATS; without it, those of this machine. */
async function checkRest(cli: Cli, host: string, settings: Settings | undefined, fix: boolean): Promise<Checked> {
  const refusals: string[] = [];
  const onStatus = (_event: string, text: string) => void refusals.push(text);
  let bus: Bus;
  try {
    const about = { host, self: settings && selfOf(settings), name: 'zpsend doctor' };
    bus = await connectBus({ ...natsSources(cli, settings), ...about, wait: false, onStatus });
  } catch (thrown) {
    const checks = [
      noNats(thrown),
      ...(await checkLocalZfs(cli, host)),
      unknownStaleMarks('there is no connection to NATS'),
    ];
    return { ...noStaleMarks, checks };
  }
  try {
    return await checkWithBus({ cli, bus, host, settings, refusals }, fix);
  } finally {
    await bus.close();
  }
}

async function checkWithBus({ cli, bus, host, settings, refusals }: CheckContext, fix: boolean): Promise<Checked> {
  const nats: Check[] = [checkNats(bus), ...checkInbox(bus, host)];
  // no request would have an answer
  if (bus.inbox === 'refused') {
    const checks = [...nats, ...(await checkLocalZfs(cli, host)), unknownStaleMarks('no reply reaches this user')];
    return { ...noStaleMarks, checks };
  }
  const checks: Check[] = [
    ...nats,
    await checkJetStream(bus, host),
    ...(await checkServer(bus)),
    ...(await checkAccount(bus, host)),
    ...(await checkBounds(bus)),
    ...(await checkAnswers(bus, host)),
    await checkLocks(bus),
    await checkStatus(bus),
    await checkMachine(bus, host, ownMachine(settings?.machineId)),
    await checkPermissions(bus, host, refusals),
    ...(await checkHosts(bus)),
    ...(await checkZfs(cli, bus, host)),
    ...(await checkSendAllow(bus, host, settings?.config.send.allow)),
  ];
  const isBad = (row: string) => checks.some(({ what, result }) => what === row && result === 'bad');
  if (isBad('permissions')) {
    return { ...noStaleMarks, checks: [...checks, unknownStaleMarks(`this user may not use zfs.${host}.>`)] };
  }
  // without ZFS there are no marks, and another machine has none of this one
  if (isBad('zfs') || isBad('service')) return { ...noStaleMarks, checks };
  const { checks: more, ...left } = await checkStaleMarks(cli, bus, host, fix);
  return { ...left, checks: [...checks, ...more] };
}

interface CheckContext {
  readonly cli: Cli;
  readonly bus: Bus;
  readonly host: string;
  readonly settings: Settings | undefined;
  /** Permission errors that the NATS server reported meanwhile. */
  readonly refusals: readonly string[];
}

const linesOf = ({ what, result, found, remedy }: Check): string[] => [
  `${result.padEnd(4)}  ${what.padEnd(11)}  ${found.replaceAll('\n', `\n${' '.repeat(19)}`)}`,
  ...(remedy === undefined ? [] : [`${' '.repeat(19)}${result === 'bad' ? 'repair' : 'hint'}: ${remedy}`]),
];
