import type { Command } from 'commander';
import { type DeliveryState, deliveriesOf } from '../../../lib/bus/channel/store/delivery-state.ts';
import { openReceipts } from '../../../lib/bus/channel/store/receipts.ts';
import { hostSchema } from '../../../schemas/names.ts';
import type { FetchOutput } from '../../../schemas/output.ts';
import { valueBy } from '../../args/option-values.ts';
import { type Cli, type JsonOption, withBus } from '../../context.ts';
import { exit } from '../../exit-codes.ts';
import { bytes, errorCell } from '../../output/format.ts';
import { table } from '../../output/table.ts';
import { domainOption, streamsOf, waitingOf } from './open.ts';

interface Options extends JsonOption {
  jsDomain?: string;
}

export function addStoreList(store: Command, cli: Cli): void {
  store
    .command('ls')
    .summary('list the stored streams of a source host')
    .description('List the stored streams of a source host, with their targets.')
    .argument('<host>', 'source host', valueBy(hostSchema))
    .addOption(domainOption())
    .option('--json', 'print JSON')
    .addHelpText('after', help)
    .action(cli.action((host: string, options: Options) => list(cli, host, options)));
}

const help = `
FOR lists the targets, with their states: receiving, delivered or rejected. A
target without a state has not begun. WHY is the error of a target that rejected
the stream, or that cannot receive it yet. A sender deletes a stream once all
targets are delivered or rejected.

Example:
  zpsend store ls smos-01`;

async function list(cli: Cli, host: string, { json, jsDomain: domain }: Options): Promise<number> {
  const { isThere, waiting, receipts } = await withBus(cli, async (bus) => {
    const bucket = await streamsOf(bus, host, domain);
    return {
      isThere: (await bucket.mark()) !== undefined,
      waiting: await waitingOf(cli, bucket),
      // without permission to read them, the streams are still listed
      receipts: await openReceipts({ nc: bus.nc, domain })
        .read(host)
        .catch(() => []),
    };
  });
  const deliveries = Map.groupBy(deliveriesOf(waiting, receipts), ({ stream }) => stream);
  const streams = [...deliveries].map(([{ id, bytes: size }, some]) => ({
    id,
    bytes: size,
    snapshot: some[0]?.start.to.name ?? '',
    isFull: some[0]?.start.from === undefined,
    targets: some.map(({ target, start, state }) => ({ host: target, dataset: start.targetDataset, ...shown(state) })),
  }));
  if (json) cli.io.out(JSON.stringify({ host, streams } satisfies FetchOutput));
  else if (streams.length > 0) table(columns, streams).forEach(cli.io.out);
  else cli.io.err(`zpsend: ${isThere ? `the store of ${host} is empty` : noStore(host, domain)}`);
  return exit.done;
}

const noStore = (host: string, domain: string | undefined): string =>
  `${host} has no store${domain === undefined ? '' : ` in the JetStream domain ${domain}`}: it never stored a stream (HOST is the source)`;

/** A stream that was lost counts as rejected: its target needs it no more. */
function shown(state: DeliveryState): Pick<Stream['targets'][number], 'state' | 'error'> {
  switch (state.type) {
    case 'stored':
    case 'unclaimed':
      return { state: 'waiting' };
    case 'blocked':
      return { state: 'waiting', error: state.error };
    case 'claimed':
      return { state: 'receiving' };
    case 'delivered':
      return { state: 'delivered' };
    case 'rejected':
    case 'lost':
      return { state: 'rejected', ...(state.error && { error: state.error }) };
  }
}

type Stream = FetchOutput['streams'][number];

function whyOf({ targets }: Stream): string {
  const [first, ...others] = targets.filter(({ error }) => error);
  const of = first && targets.length > 1 ? `${first.host}: ` : '';
  return `${of}${errorCell(first?.error)}${others.length > 0 ? ` (and ${others.length} more)` : ''}`;
}

const columns = [
  { title: 'ID', value: ({ id }: Stream) => id },
  { title: 'SNAPSHOT', value: ({ snapshot }: Stream) => snapshot },
  { title: 'TYPE', value: ({ isFull }: Stream) => (isFull ? 'full' : 'incremental') },
  { title: 'SIZE', value: (stream: Stream) => bytes(stream.bytes), right: true },
  {
    title: 'FOR',
    value: ({ targets }: Stream) =>
      targets
        .map(({ host, dataset, state }) => `${host}:${dataset}${state === 'waiting' ? '' : ` (${state})`}`)
        .join(' '),
  },
  { title: 'WHY', value: whyOf },
];
