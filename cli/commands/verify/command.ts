import { type Command, Option } from 'commander';
import { isLeftOut } from '../../../lib/plan/request/selection.ts';
import { compare, isCommon, restrictedSides } from '../../../lib/verify/compare.ts';
import type { Code } from '../../../schemas/errors.ts';
import { datasetOf, leafOf } from '../../../schemas/names.ts';
import type { VerifiedDataset, VerifyOutput } from '../../../schemas/verify.ts';
import { parseSource, parseTarget } from '../../args/names.ts';
import { excludeOption, replicationOption } from '../../args/send-options.ts';
import { thisHost } from '../../args/this-host.ts';
import { type Cli, type JsonOption, withBus } from '../../context.ts';
import { exit, exitForAll, usage } from '../../exit-codes.ts';
import { catchInterrupt } from '../../output/interrupt.ts';
import { readContents } from './contents.ts';
import { withSides } from './sides.ts';
import { verifyLines, verifyNotes } from './table.ts';

interface Options extends JsonOption {
  package?: 'replication';
  data?: true;
  all?: true;
  verbose?: true;
  exclude?: string[];
}

export function addVerify(program: Command, cli: Cli): void {
  program
    .command('verify')
    .summary('compare a dataset with its replica')
    .description('Compare the snapshots of two hosts by guid, or by contents. Changes nothing.')
    .argument('<source>', '[HOST:]DATASET[@SNAPSHOT] (default: this host)')
    .argument('<target>', 'HOST[:DATASET] (default: the same name)')
    .addOption(new Option('-R, --replicate', 'with all descendants').implies({ package: 'replication' }))
    .addOption(replicationOption())
    .addOption(excludeOption())
    .option('--data', 'compare the contents of the newest common snapshot')
    .option('--all', 'with --data: of every common snapshot')
    .option('-v, --verbose', 'print a row for each snapshot')
    .option('--json', 'print JSON, with every snapshot')
    .addHelpText('after', help)
    .action(cli.action((source: string, target: string, options: Options) => verify(cli, source, target, options)));
}

const help = `
With @SNAPSHOT, only that snapshot is compared. --exclude can be repeated.
--data reads the snapshots with zfs send, on both hosts. That takes as long as a
full send, but no data crosses the network.
If both sides are encrypted and a key is not loaded, the encrypted blocks are
compared. That works for raw replicas only.

Exit status: 0 equal (the target has the newest snapshot, and no common snapshot
differs), 1 not equal or failed, 2 wrong usage, 3 some of several datasets are
not equal, or the source does not show all of them to this host.

Examples:
  zpsend verify zones/test smos-00
  zpsend verify -R smos-01:zones/vm smos-00:tank/vm
  zpsend verify --data zones/test@now smos-00`;

async function verify(cli: Cli, sourceText: string, targetText: string, options: Options): Promise<number> {
  if (options.all && !options.data) throw usage('--all needs --data too');
  if (options.exclude && !options.package) throw usage('--exclude needs -R too');
  const here = thisHost(cli.env);
  const { host, dataset: named } = parseSource(sourceText, here);
  const { host: targetHost, dataset: target = datasetOf(named) } = parseTarget(targetText, here);
  const { all = false, exclude = [] } = options;
  const recursive = options.package !== undefined;
  const snapshot = leafOf(named);
  const compared = { source: datasetOf(named), target, recursive, ...(snapshot !== undefined && { snapshot }) };
  const sidesToList = {
    source: { host, what: { dataset: compared.source, recursive } },
    target: { host: targetHost, what: { dataset: target, recursive } },
  };
  const interrupt = catchInterrupt();
  try {
    const found = await withBus(cli, (bus) =>
      withSides(cli, bus, sidesToList, async (sides) => {
        const comparison = { ...compared, isLeftOut: (name: string) => isLeftOut(exclude, name, compared.source) };
        const listings = [sides.source.inventory, sides.target.inventory] as const;
        const datasets = compare(comparison, ...listings);
        const restricted = restrictedSides(comparison, ...listings);
        const reader = { bus, io: cli.io, ...sides, all, signal: interrupt.signal };
        return {
          datasets: options.data ? await readContents(reader, datasets) : datasets,
          ...(restricted.length > 0 && { restricted }),
        };
      }),
    );
    if (interrupt.signal.aborted) return exit.interrupted;
    return print(cli, { source: host, target: targetHost, ...found }, options);
  } finally {
    interrupt.stop();
  }
}

function print(cli: Cli, output: VerifyOutput, options: Options): number {
  if (options.json) cli.io.out(JSON.stringify(output));
  else {
    verifyLines(output, options.verbose ?? false).forEach(cli.io.out);
    verifyNotes(output).forEach(cli.io.err);
  }
  const judged = output.datasets.filter(({ state }) => state !== 'extra' && state !== 'empty');
  // without a common snapshot they are not equal
  if (!judged.some(({ snapshots }) => snapshots.some(isCommon))) {
    if (!options.json) cli.io.err(`zpsend: ${nothingVerified(judged)}, so nothing was verified`);
    return exit.failed;
  }
  const isPart = output.restricted?.some(({ side }) => side === 'source');
  return exitForAll([...judged.map(({ state }) => codes[state]), ...(isPart ? ['partly' as const] : [])]);
}

const nothingVerified = (judged: readonly VerifiedDataset[]): string =>
  judged.length > 0 && judged.every(({ state }) => state === 'unnamed')
    ? `${judged[0]?.source} has no snapshot with that name (zpsend snapshots lists them)`
    : 'they have no common snapshot';

const codes: Record<VerifiedDataset['state'], Code | undefined> = {
  equal: undefined,
  behind: 'NO_SUCH_SNAPSHOT',
  diverged: 'DIVERGED',
  different: 'DIVERGED',
  unrelated: 'DIVERGED',
  unread: 'UNSUPPORTED',
  missing: 'NO_SUCH_DATASET',
  unnamed: 'NO_SUCH_SNAPSHOT',
  extra: undefined,
  empty: undefined,
  withheld: 'NOT_ALLOWED',
};
