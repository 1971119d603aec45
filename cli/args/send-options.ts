import { type Command, Option } from 'commander';
import { conflictPolicySchema } from '../../schemas/conflict.ts';
import { maxParallel, type SendRequest, sendRequestSchema, type Target } from '../../schemas/plan.ts';
import type { StreamWish } from '../../schemas/stream.ts';
import { type CompressionMode, channelSchema, compressionModeSchema } from '../../schemas/transfer.ts';
import { rateWords } from '../../schemas/units.ts';
import { listBy, valueBy, wholeNumber } from './option-values.ts';
import { type PropertyOptions, withPropertyOptions } from './property-options.ts';

type Fields = Omit<SendRequest, 'dataset' | 'to' | 'from' | 'compression' | 'stream' | 'properties'>;

/** The options that `send` and `plan` share. One that is named like a field of the request becomes that field. */
export interface SendOptions extends Fields, StreamWish, PropertyOptions {
  from?: string;
  compress?: CompressionMode;
  append?: Target['append'];
}

const fields = sendRequestSchema.shape;

/** The schema's name of `-R`. */
export const replicationOption = (): Option =>
  new Option('--replication').hideHelp().implies({ package: 'replication' }).conflicts('recursive');

export const excludeOption = (): Option =>
  new Option('--exclude <pattern>', 'leave out datasets that match, with their descendants (repeatable)').argParser(
    listBy(fields.exclude),
  );

export const withSendOptions = (command: Command): Command => withPropertyOptions(withRequestOptions(command));

const withRequestOptions = (command: Command): Command =>
  command
    .addOption(
      new Option('-R, --replicate', 'with descendants: all snapshots up to the one named')
        .implies({ package: 'replication' })
        .conflicts('recursive'),
    )
    .addOption(replicationOption())
    .addOption(
      new Option('-r, --recursive', 'with descendants: only the snapshot named, and origins of clones').implies({
        package: 'recursive',
      }),
    )
    .option('-c, --self-contained', 'send a clone whole where its origin is not sent along')
    .option('-i, --from <base>', 'exactly the incremental from this @snapshot or #bookmark')
    .option('--full', 'exactly this snapshot, as a full stream')
    .addOption(excludeOption())
    .option(
      '--snapshots <pattern>',
      'of the intermediate snapshots only those that match (repeatable)',
      listBy(fields.snapshots),
    )
    .option('--skip-missing', 'leave out datasets that lack the snapshot named, with their descendants')
    .addOption(
      new Option('-d, --append-path', "into DATASET/ and the source's name without its pool, as zfs receive -d")
        .implies({ append: 'path' })
        .conflicts('appendLast'),
    )
    .addOption(
      new Option(
        '-e, --append-last',
        "into DATASET/ and the last element of the source's name, as zfs receive -e",
      ).implies({ append: 'last' }),
    )
    .option(
      '--parallel <n>',
      `datasets of a package that are sent at once, 1 to ${maxParallel}`,
      wholeNumber(1, maxParallel),
    )
    .option(
      '--bwlimit <rate>',
      'bytes per second that the job of each target sends at most, as in 500K, 10M, 1G',
      valueBy(fields.bwlimit, rateWords),
    )
    .option('-w, --raw', 'encrypted datasets as they are on disk, which needs no key (the default for them)')
    .option('--no-raw', 'encrypted datasets decrypted, also to where they will lie unencrypted')
    .option('--large-block', 'blocks of more than 128K as they are')
    .option('--no-large-block', 'without')
    .option('--embed', 'small blocks inside their pointers')
    .option('--no-embed', 'without')
    .option('--compressed', 'compressed blocks as they are on disk')
    .option('--no-compressed', 'without')
    .option('-p, --props', "the datasets' properties too, but no mountpoint, canmount and shares")
    .addOption(
      new Option('--conflict <policy>', 'what may be done to a target that has diverged').choices(
        conflictPolicySchema.options,
      ),
    )
    .addOption(
      new Option(
        '--channel <which>',
        'direct, store for a target to fetch later, or auto: store where it does not answer, or something waits for it',
      ).choices(channelSchema.options),
    )
    .addOption(
      new Option('--compress <how>', 'zstd compresses streams on their way, auto where it pays, none never').choices(
        compressionModeSchema.options,
      ),
    );

/** What the options above mean together. */
export const packageHelp = `
A target that went its own way:
  --conflict refuse    the default: it is left alone, and told what both sides have
  --conflict rollback  it goes back to the newest common snapshot; its newer snapshots, those that plan lists, are destroyed
  --conflict rotate    it is renamed aside, to NAME_diverged_TXG, and begun anew as a clone of the common snapshot; nothing is lost
  The last two need the receiver's leave as well: conflicts: [rollback, rotate] in its receive.allow. See first: zpsend plan.

Packages:
  -R and -r send the dataset and all below it. They may be joined with -c: -Rc, -rc. (-c is Solaris' "self-contained";
  it has nothing to do with compression.) Without -c, a clone needs its origin in the package or on the target.
  Which datasets: --exclude. A pattern matches the whole name (pool/vm/*/tmp) or what follows the package's own name
  (*/tmp). What it leaves out goes with its descendants, whatever else is asked for.
  Which snapshots: the one named ends what is sent and is sent itself, always. --snapshots picks among those before it.
  A snapshot that a clone of the package comes from is sent, always.
  In a pattern * and ? stay within one element, ** is any number of elements. Quote patterns: the shell knows them too.

Not as elsewhere:
  -r of syncoid is -R here; -r sends only the snapshot named, as a recursive snapshot made it, of each dataset.
  -d and -e are those of zfs receive; -L, -e and -c of zfs send are --large-block, --embed and --compressed.
  -i and -I of zfs send: snapshots between are sent anyway, one -i stream each; -i here is for exactly one.

Flags of the streams (-w, and the four after it) are chosen by what both sides can, and kept as the chain of a dataset began.
They need not be given; plan shows them.`;
