import type { Writable } from 'node:stream';
import type { Command } from 'commander';
import { storeConnection } from '../../../lib/bus/channel/store/connection.ts';
import { readCatalog, readManifest } from '../../../lib/bus/channel/store/manifests.ts';
import { openStreams, type StreamsBucket } from '../../../lib/bus/channel/store/object-bucket.ts';
import { openReceipts } from '../../../lib/bus/channel/store/receipts.ts';
import type { Bus } from '../../../lib/bus/connection/connect.ts';
import { ZpsendError } from '../../../schemas/errors.ts';
import type { FetchOutput } from '../../../schemas/output.ts';
import type { WaitingStream } from '../../../schemas/stored.ts';
import { domainOf } from '../../args/js-domain.ts';
import { parseHost } from '../../args/names.ts';
import { type Cli, type JsonOption, withBus } from '../../context.ts';
import { exit, usage } from '../../exit-codes.ts';
import { bytes, errorCell } from '../../output/format.ts';
import { catchInterrupt } from '../../output/interrupt.ts';
import { table } from '../../output/table.ts';
import { openWholeFile } from './atomic-file.ts';
import { fetchStream, unwritten } from './read-stream.ts';

interface Options extends JsonOption {
  output?: string;
  jsDomain?: string;
}

export function addFetch(program: Command, cli: Cli): void {
  program
    .command('fetch')
    .summary('list or read the streams that wait in the store of a host')
    .description(
      'Without ID lists what a source host keeps in the object store for targets to fetch. With ID writes that stream, checked ' +
        'segment by segment, to standard output or a file. It stays in the store.',
    )
    .argument('<host>', 'the source host')
    .argument('[id]', 'the stream')
    .option('-o, --output <file>', 'write to this file, which is there when all of it is; - is standard output')
    .option('--js-domain <domain>', 'look in this JetStream domain: in that of a hub, from a leaf')
    .option('--json', 'print the list as JSON')
    .addHelpText('after', help)
    .action(
      cli.action((host: string, id: string | undefined, options: Options) => {
        const named = parseHost(host);
        return id === undefined ? list(cli, named, options) : fetch(cli, named, id, options);
      }),
    );
}

const help = `
A receiver fetches what waits for it by itself. This is for doing it by hand.
The list shows for whom a stream waits, and of each target whether it is at it (receiving), has it (taken) or will not have it
(refused), and why it could not take it yet, or will not. A stream goes from the list when every target is done with it, and a
sender has seen that.

Examples:
  zpsend fetch smos-01                                       what waits
  zpsend fetch smos-01 0m1n2o3p4qt1 -o test.zfs              into a file
  zpsend fetch smos-01 0m1n2o3p4qt1 | zfs receive -u tank/test`;

const streamsOf = async (bus: Bus, host: string, domain: string | undefined): Promise<StreamsBucket> =>
  openStreams({ ...(await storeConnection(bus, 'zpsend command (store)').open()), domain }, host);

const waitingOf = async (cli: Cli, bucket: StreamsBucket): Promise<readonly WaitingStream[]> =>
  (await readCatalog(bucket, (why) => cli.io.err(`zpsend: ${why}`)).read()).waiting;

async function list(cli: Cli, host: string, { json, output, jsDomain }: Options): Promise<number> {
  if (output !== undefined) throw usage('-o needs the ID of a stream; without one they are listed');
  const domain = domainOf(jsDomain);
  const { isThere, waiting, receipts } = await withBus(cli, async (bus) => {
    const bucket = await streamsOf(bus, host, domain);
    return {
      isThere: (await bucket.mark()) !== undefined,
      waiting: await waitingOf(cli, bucket),
      // who may not read them sees at least what there is
      receipts: await openReceipts({ nc: bus.nc, domain })
        .read(host)
        .catch(() => []),
    };
  });
  const stateOf = (of: string, target: string, at: number) => {
    const said = receipts.find((one) => one.id === of && one.target === target && one.place === at)?.receipt;
    if (!said?.error) return { state: words[said?.state ?? 'none'] };
    return { state: said.state === 'running' ? words.none : words[said.state], error: said.error };
  };
  const streams = waiting.map(({ id, bytes: size, targets }) => ({
    id,
    bytes: size,
    snapshot: targets[0]?.start.to.name ?? '',
    isFull: targets[0]?.start.from === undefined,
    targets: targets.map((target, at) => ({
      host: target.host,
      dataset: target.start.dataset,
      ...stateOf(id, target.host, at),
    })),
  }));
  if (json) cli.io.out(JSON.stringify({ host, streams } satisfies FetchOutput));
  else if (streams.length > 0) table(columns, streams).forEach(cli.io.out);
  else
    cli.io.err(
      `zpsend: ${isThere ? `nothing waits in the store of ${host}` : `${host} has no store${domain === undefined ? '' : ` in ${domain}`}: nothing has ever been stored there for others (HOST is the one that sends)`}`,
    );
  return exit.done;
}

const words = { none: 'waiting', running: 'receiving', done: 'taken', failed: 'refused' } as const;

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

async function fetch(cli: Cli, host: string, id: string, { output, json, jsDomain }: Options): Promise<number> {
  const domain = domainOf(jsDomain);
  if (json) throw usage('--json is for the list; a stream is written as it is');
  if (output === '') throw usage('-o needs the name of a file');
  if (id === '') throw usage(`the ID of a stream is empty: zpsend fetch ${host} lists them`);
  const isFile = output !== undefined && output !== '-';
  if (!isFile && process.stdout.isTTY) throw usage('a stream is no text for a terminal: -o FILE, or a pipe');
  const interrupt = catchInterrupt();
  try {
    await withBus(cli, async (bus) => {
      const bucket = await streamsOf(bus, host, domain);
      const waiting = (await waitingOf(cli, bucket)).find((one) => one.id === id);
      if (!waiting) {
        throw new ZpsendError(
          'NO_SUCH_TRANSFER',
          `no stream ${id} waits in the store of ${host}: zpsend fetch ${host} lists them`,
        );
      }
      const manifest = await readManifest(bucket, waiting);
      // who leaves before the end of a list has seen enough, but of a stream has not
      cli.io.outliveReaders();
      const { signal } = interrupt;
      const told = (at: number) => cli.io.live([`${bytes(at)} of ${bytes(manifest.bytes)}`]);
      if (!isFile) return fetchStream({ bucket, manifest, to: process.stdout, signal, told });
      await intoFile(output, (to) => fetchStream({ bucket, manifest, to, signal, told }));
    });
    return exit.done;
  } catch (error) {
    if (!interrupt.signal.aborted) throw error;
    return exit.interrupted;
  } finally {
    cli.io.live([]);
    interrupt.stop();
  }
}

/** A part of a stream is of no use, and would stand in the way of the next try. */
async function intoFile(path: string, write: (to: Writable) => Promise<void>): Promise<void> {
  try {
    const file = await openWholeFile(path);
    try {
      await write(file.to);
    } catch (error) {
      await file.drop();
      throw error;
    }
    await file.keep();
  } catch (error) {
    throw unwritten(error);
  }
}
