import { Option } from 'commander';
import { storeConnection } from '../../../lib/bus/channel/store/connection.ts';
import { readCatalog } from '../../../lib/bus/channel/store/manifests.ts';
import { openStreams, type StreamsBucket } from '../../../lib/bus/channel/store/object-bucket.ts';
import type { Bus } from '../../../lib/bus/connection/connect.ts';
import { jetStreamDomainSchema } from '../../../schemas/names.ts';
import type { WaitingStream } from '../../../schemas/stored.ts';
import { valueBy } from '../../args/option-values.ts';
import type { Cli } from '../../context.ts';

/** Called as the `nats` CLI calls it. */
export const domainOption = (): Option =>
  new Option('--js-domain <domain>', 'JetStream domain of the store (of the hub, from a leaf)').argParser(
    valueBy(jetStreamDomainSchema),
  );

/** The store of a source host, in a JetStream domain. Nothing is read yet. */
export const streamsOf = async (bus: Bus, host: string, domain: string | undefined): Promise<StreamsBucket> =>
  openStreams({ ...(await storeConnection(bus, 'zpsend command (store)').open()), domain }, host);

/** The streams that wait in a store, in order; what cannot be read of it is said on standard error. */
export const waitingOf = async (cli: Cli, bucket: StreamsBucket): Promise<readonly WaitingStream[]> =>
  (await readCatalog(bucket, (why) => cli.io.err(`zpsend: ${why}`)).read()).waiting;
