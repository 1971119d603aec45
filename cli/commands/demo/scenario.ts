import { execa } from 'execa';
import { requestMany } from '../../../lib/bus/rpc/request.ts';
import { subjects } from '../../../lib/bus/subjects.ts';
import { listingPartSchema } from '../../../schemas/inventory.ts';
import { type Cli, withBus } from '../../context.ts';
import { exit } from '../../exit-codes.ts';
import { bytes } from '../../output/format.ts';
import { send } from '../send.ts';
import { snapshots } from '../snapshots.ts';
import type { Machine, Machines } from './machines.ts';

/** The seven snapshots, each with the bytes written before it. */
const history: [name: string, written: number][] = [
  ['now', 23_552],
  ['now2', 0],
  ['8550', 8 * 2 ** 20],
  ['18569', 15_360],
  ['20392', 15_360],
  ['30577', 4 * 2 ** 20],
  ['4387', 1024],
];

/**
 * Creates zones/test, replicates it, lists both sides, and replicates again. Both services run.
 * @returns the exit status: 0 if both sides have equal guids, and the second run had nothing to do
 */
export async function runScenario(cli: Cli, { source, target }: Machines, signal: AbortSignal): Promise<number> {
  const dataset = `${source.pool}/test`;
  const location = source.pool === target.pool ? target.host : `${target.host}:${target.pool}/test`;
  const prompt = (machine: Machine, command: string) => {
    signal.throwIfAborted();
    cli.io.out(`\n${machine.host}# ${command}`);
  };
  const admin = async (...argv: string[]) => {
    prompt(source, `zfs ${argv.join(' ')}`);
    await execa('zfs', argv, { env: source.env, extendEnv: false });
  };
  const replicate = () => {
    prompt(source, `zpsend send ${dataset} ${location}`);
    return send({ ...cli, env: source.env }, dataset, [location], {});
  };
  const show = async (machine: Machine) => {
    prompt(machine, `zpsend snapshots ${machine.pool}/test`);
    await snapshots({ ...cli, env: machine.env }, `${machine.pool}/test`, {});
  };

  await admin('create', dataset);
  for (const [name, written] of history) {
    if (written > 0) await source.write(dataset, written);
    await admin('snapshot', `${dataset}@${name}`);
    if (written > 0) cli.io.out(`  (after writing ${bytes(written)})`);
  }
  const first = await replicate();
  if (first !== exit.done) return first;
  await show(source);
  await show(target);
  const again = await replicate();
  const [here, there] = [await guids(cli, source), await guids(cli, target)];
  const equal = here.filter((guid, at) => guid === there[at]).length;
  cli.io.out(`\n${equal} of ${history.length} snapshots have equal guids on both hosts.`);
  return equal === history.length ? again : exit.failed;
}

const guids = (cli: Cli, { host, pool, env }: Machine): Promise<string[]> =>
  withBus({ ...cli, env }, async (bus) => {
    const parts = await requestMany(bus, subjects.snapshots(host), { dataset: `${pool}/test` }, listingPartSchema);
    return parts.flatMap((part) => part.datasets.flatMap((entry) => entry.snapshots.map(({ guid }) => guid)));
  });
