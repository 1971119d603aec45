import { type Command, Option } from 'commander';
import { conflictPolicySchema } from '../../schemas/conflict.ts';
import { maxParallel, type SendRequest, sendRequestSchema, type Target } from '../../schemas/request.ts';
import type { StreamWish } from '../../schemas/stream.ts';
import { type CompressionMode, channelSchema, compressionModeSchema } from '../../schemas/transfer.ts';
import { rateWords } from '../../schemas/units.ts';
import { listBy, valueBy, wholeNumber } from './option-values.ts';
import { type PropertyOptions, withPropertyOptions } from './property-options.ts';

type Fields = Omit<SendRequest, 'dataset' | 'to' | 'from' | 'compression' | 'stream' | 'properties'>;

/** The options of `send` and `plan`. An option with the name of a request's field sets that field. */
export interface SendOptions extends Fields, StreamWish, PropertyOptions {
  from?: string;
  compress?: CompressionMode;
  append?: Target['append'];
}

const fields = sendRequestSchema.shape;

/** The schema's name for `-R`. */
export const replicationOption = (): Option =>
  new Option('--replication').hideHelp().implies({ package: 'replication' }).conflicts('recursive');

export const excludeOption = (): Option =>
  new Option('--exclude <pattern>', 'skip matching datasets, with descendants').argParser(listBy(fields.exclude));

export const withSendOptions = (command: Command): Command =>
  withPropertyOptions(withStreamOptions(withTargetOptions(withSelection(command))));

const withSelection = (command: Command): Command =>
  command
    .optionsGroup('What to send:')
    .addOption(
      new Option('-R, --replicate', 'with all descendants and every snapshot')
        .implies({ package: 'replication' })
        .conflicts('recursive'),
    )
    .addOption(replicationOption())
    .addOption(
      new Option('-r, --recursive', 'with all descendants, only the named snapshot').implies({ package: 'recursive' }),
    )
    .option('-c, --self-contained', 'send a clone in full if its origin is not sent')
    .option('-i, --from <base>', 'one increment, from this @snapshot or #bookmark')
    .option('--full', 'one full stream, of the named snapshot')
    .addOption(excludeOption())
    .option('--snapshots <pattern>', 'send only matching intermediate snapshots', listBy(fields.snapshots))
    .option('--skip-missing', 'skip datasets that lack the named snapshot');

const withTargetOptions = (command: Command): Command =>
  command
    .optionsGroup('Where to send it:')
    .addOption(
      new Option('-d, --append-path', "append the source's name without its pool")
        .implies({ append: 'path' })
        .conflicts('appendLast'),
    )
    .addOption(
      new Option('-e, --append-last', "append the last element of the source's name").implies({ append: 'last' }),
    )
    .addOption(
      new Option('--conflict <policy>', 'on a diverged target: refuse, rollback, rotate').choices(
        conflictPolicySchema.options,
      ),
    )
    .addOption(
      new Option('--channel <channel>', 'direct, store, auto (store if it is offline)').choices(channelSchema.options),
    );

const withStreamOptions = (command: Command): Command =>
  command
    .optionsGroup('How to send it:')
    .option('-w, --raw', 'encrypted datasets raw (default)')
    .option('--no-raw', 'encrypted datasets decrypted')
    .option('--large-block', 'blocks over 128K unsplit (zfs send -L)')
    .option('--no-large-block', 'blocks over 128K split')
    .option('--embed', 'embedded blocks as they are (zfs send -e)')
    .option('--no-embed', 'no embedded blocks')
    .option('--compressed', 'compressed blocks as they are (zfs send -c)')
    .option('--no-compressed', 'compressed blocks decompressed')
    .option('-p, --props', 'with the properties of the datasets')
    .addOption(
      new Option('--compress <mode>', 'in transit: auto (if it pays), zstd, none').choices(
        compressionModeSchema.options,
      ),
    )
    .option('--parallel <n>', `datasets to send at once, 1 to ${maxParallel}`, wholeNumber(1, maxParallel))
    .option('--bwlimit <rate>', 'bytes per second of each job (10M, 100Mbit)', valueBy(fields.bwlimit, rateWords));

/** The help on these options that does not fit beside them. */
export const packageHelp = `
--exclude, --snapshots, -o, -x and --include-property can be repeated.

Packages:
  A package is a dataset with all its descendants (-R, -r, -Rc, -rc).
  Without -c, a clone needs its origin in the package or on the target.
  --exclude chooses the datasets. A pattern matches the whole name
  (pool/vm/*/tmp), or its part below the dataset that is sent (*/tmp).
  The named snapshot is the last one, and is always sent. --snapshots chooses
  among the older ones. Origins of clones in the package are always sent.
  In patterns, * and ? stay within one element of a name, and ** matches any
  number of elements. Quote patterns, so that the shell leaves them alone.

Diverged targets:
  A target has diverged if it has snapshots that the source lacks, or if it was
  written to. --conflict chooses what zpsend may do there first:
    refuse    change nothing, and list the snapshots of both sides (default)
    rollback  roll back to the newest common snapshot; the newer snapshots that
              the plan lists are destroyed
    rotate    rename it to NAME_diverged_TXG, and start again as a clone of the
              common snapshot; nothing is lost
  rollback and rotate must also be allowed by the receiver (conflicts: in its
  receive.allow). zpsend plan shows what would be destroyed or renamed.

Differences from other tools:
  syncoid -r is -R here; -r sends only the named snapshot of each dataset.
  zfs send -L, -e and -c are --large-block, --embed and --compressed here.
  zfs send -I is not needed: every snapshot up to the named one is sent.
  -d and -e are those of zfs receive.

Stream flags (-w, -L, -e, -c of zfs send) are chosen by what both pools support.
A replica keeps the flags of its first stream. zpsend plan shows them.
-p never sends mountpoint, canmount, sharenfs and sharesmb.`;
