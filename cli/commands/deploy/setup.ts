import type { Command } from 'commander';
import { z } from 'zod';
import { makeWanted, type Outcome } from '../../../lib/bus/setup/make.ts';
import { type Difference, natsCommand, type WantedStream, wantedStreams } from '../../../lib/bus/setup/wanted.ts';
import { makeCertificates } from '../../../lib/deploy/certificates.ts';
import { sourcesOf } from '../../../lib/deploy/server-files.ts';
import { readFleet } from '../../../lib/settings/fleet-file.ts';
import { type BucketBounds, bucketBoundsSchema, type Fleet } from '../../../schemas/fleet.ts';
import { hostSchema } from '../../../schemas/names.ts';
import { listBy, valueBy, wholeNumber } from '../../args/option-values.ts';
import { type Cli, type JsonOption, withBus } from '../../context.ts';
import { exit, usage } from '../../exit-codes.ts';
import { errorLines } from '../../output/errors.ts';

interface Options extends JsonOption, Partial<BucketBounds> {
  source?: string[];
  print?: true;
  edit?: true;
  certs?: string;
}

const bounds = bucketBoundsSchema.shape;

/** `zpsend deploy setup` */
export function addSetup(deploy: Command, cli: Cli): void {
  deploy
    .command('setup')
    .summary('create the buckets and streams, or the certificates')
    .description('Create the missing buckets and streams of a fleet, or its certificates.')
    .argument('[file]', 'the fleet, in YAML; options override its buckets')
    .option('--source <host>', 'a sending host, which gets a store', listBy(z.array(hostSchema)))
    .option('--max-value-size <bytes>', 'largest KV entry (64K)', valueBy(bounds.maxValueSize))
    .option('--max-bucket-size <bytes>', 'largest KV bucket (256M)', valueBy(bounds.maxBucketSize))
    .option('--lock-seconds <seconds>', 'lifetime of a lock that is not renewed (30)', valueBy(bounds.lockSeconds))
    .option('--store-size <bytes>', 'size of the store of each source (16G)', valueBy(bounds.storeSize))
    .option('--store-hours <hours>', 'lifetime of a stored stream (168)', valueBy(bounds.storeHours))
    .option('--replicas <number>', 'replicas (3; 1 with fewer than 3 servers)', wholeNumber(1, 5))
    .option('--print', 'print the commands of the nats CLI instead')
    .option('--edit', 'change buckets and streams that differ')
    .option('--certs <folder>', 'create only a CA and server certificates there')
    .option('--json', 'print JSON')
    .addHelpText('after', help)
    .action(cli.action((file: string | undefined, options: Options) => setup(cli, file, options)));
}

const help = `
Run it as an administrator. --source can be repeated; default: all senders of
the fleet. Without --edit, buckets and streams that differ are listed, and not
changed. --edit sets no limit below what a bucket holds already. --certs keeps
existing files.
Exit status: 0 everything is as wanted, 1 failed, 3 something differs.

Examples:
  zpsend deploy setup fleet.yaml --certs certs   # before the servers start
  zpsend deploy setup fleet.yaml                 # once they run, as an admin
  zpsend deploy setup --source smos-01 --print   # one server, without a file`;

/** Options override the file. */
function boundsOf(fleet: Fleet | undefined, options: Options): BucketBounds {
  return z.object(bounds).parse({ ...fleet?.buckets, ...options });
}

function wantedOf(fleet: Fleet | undefined, options: Options): WantedStream[] {
  const wanted = boundsOf(fleet, options);
  const replicas = wanted.replicas ?? (fleet && fleet.servers.length < 3 ? 1 : 3);
  const sources = options.source ?? (fleet ? sourcesOf(fleet) : []);
  return wantedStreams(wanted, sources, replicas);
}

const differenceText = ({ field, found, wanted, narrows }: Difference): string =>
  `${field} is ${JSON.stringify(found)}, wanted ${JSON.stringify(wanted)}${narrows ? ' (which holds less)' : ''}`;

const words: Record<Outcome['state'], string> = {
  made: 'made',
  there: 'is as wanted',
  differs: 'differs',
  changed: 'changed',
  failed: 'failed',
};

const outcomeText = ({ called, state, differences }: Outcome): string =>
  `${called}: ${[words[state], ...differences.map(differenceText)].join('; ')}`;

async function setup(cli: Cli, file: string | undefined, options: Options): Promise<number> {
  const { io } = cli;
  const fleet = file === undefined ? undefined : readFleet(file);
  if (options.certs !== undefined) {
    if (!fleet) throw usage('--certs needs the fleet file, which names the servers');
    const made = await makeCertificates(options.certs, [...fleet.servers, ...fleet.sites]);
    if (options.json) io.out(JSON.stringify({ made }));
    else for (const path of made) io.out(path);
    return exit.done;
  }
  const wanted = wantedOf(fleet, options);
  if (options.print) {
    if (options.json) io.out(JSON.stringify({ streams: wanted }));
    else for (const one of wanted) io.out(natsCommand(one));
    return exit.done;
  }
  const outcomes: Outcome[] = [];
  await withBus(cli, (bus) =>
    makeWanted(bus, wanted, options.edit === true, (outcome) => {
      outcomes.push(outcome);
      if (!options.json) io.out(outcomeText(outcome));
    }),
  );
  if (options.json) io.out(JSON.stringify({ outcomes }));
  for (const { error } of outcomes) if (error) for (const line of errorLines(error)) io.err(line);
  const states = outcomes.map(({ state }) => state);
  if (states.includes('differs')) io.err('nothing that differs was changed; --edit changes it');
  if (states.includes('failed')) return exit.failed;
  return states.includes('differs') ? exit.partly : exit.done;
}
