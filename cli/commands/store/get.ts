import type { Writable } from 'node:stream';
import type { Command } from 'commander';
import { readManifest } from '../../../lib/bus/channel/store/manifests.ts';
import { ZpsendError } from '../../../schemas/errors.ts';
import { hostSchema } from '../../../schemas/names.ts';
import { valueBy } from '../../args/option-values.ts';
import { type Cli, withBus } from '../../context.ts';
import { exit, usage } from '../../exit-codes.ts';
import { bytes } from '../../output/format.ts';
import { catchInterrupt } from '../../output/interrupt.ts';
import { openAtomicFile } from './atomic-file.ts';
import { domainOption, streamsOf, waitingOf } from './open.ts';
import { fetchStream, writeError } from './read-stream.ts';

interface Options {
  output?: string;
  jsDomain?: string;
}

export function addStoreGet(store: Command, cli: Cli): void {
  store
    .command('get')
    .summary('write a stored stream to a file or to standard output')
    .description('Write a stored stream to standard output or to a file. It stays in the store.')
    .argument('<host>', 'source host', valueBy(hostSchema))
    .argument('<id>', 'id of the stream, from zpsend store ls')
    .option('-o, --output <file>', 'write to this file once it is complete')
    .addOption(domainOption())
    .addHelpText('after', help)
    .action(cli.action((host: string, id: string, options: Options) => get(cli, host, id, options)));
}

const help = `
Receivers fetch their streams by themselves; this command is for use by hand.
Each segment is checked against the manifest.

Examples:
  zpsend store get smos-01 0m1n2o3p4qt1 -o test.zfs
  zpsend store get smos-01 0m1n2o3p4qt1 | zfs receive -u tank/test`;

async function get(cli: Cli, host: string, id: string, { output, jsDomain: domain }: Options): Promise<number> {
  if (output === '') throw usage('-o needs the name of a file');
  if (id === '') throw usage(`the id of the stream is empty; zpsend store ls ${host} lists the ids`);
  const isFile = output !== undefined && output !== '-';
  if (!isFile && process.stdout.isTTY) throw usage('a stream is not written to a terminal: use -o FILE, or a pipe');
  const interrupt = catchInterrupt();
  try {
    await withBus(cli, async (bus) => {
      const bucket = await streamsOf(bus, host, domain);
      const waiting = (await waitingOf(cli, bucket)).find((one) => one.id === id);
      if (!waiting) {
        throw new ZpsendError(
          'NO_SUCH_TRANSFER',
          `the store of ${host} has no stream ${id}; zpsend store ls ${host} lists its streams`,
        );
      }
      const manifest = await readManifest(bucket, waiting);
      // a closed pipe is an error here: the stream is incomplete
      cli.io.ignoreClosedPipe();
      const { signal } = interrupt;
      const onProgress = (at: number) => cli.io.live([`${bytes(at)} of ${bytes(manifest.bytes)}`]);
      if (!isFile) return fetchStream({ bucket, manifest, to: process.stdout, signal, onProgress });
      await intoFile(output, (to) => fetchStream({ bucket, manifest, to, signal, onProgress }));
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

/** An incomplete file is removed. */
async function intoFile(path: string, write: (to: Writable) => Promise<void>): Promise<void> {
  try {
    const file = await openAtomicFile(path);
    try {
      await write(file.to);
    } catch (error) {
      await file.drop();
      throw error;
    }
    await file.keep();
  } catch (error) {
    throw writeError(error);
  }
}
