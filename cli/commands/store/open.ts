import { Option } from 'commander';
import { storeConnection } from '../../../lib/bus/channel/store/connection.ts';
import { readCatalog } from '../../../lib/bus/channel/store/manifests.ts';
import { openStreams, type StreamsBucket } from '../../../lib/bus/channel/store/object-bucket.ts';
import type { Bus } from '../../../lib/bus/connection/connect.ts';
import { jetStreamDomainSchema } from '../../../schemas/names.ts';
import type { WaitingStream } from '../../../schemas/stored.ts';
import { valueBy } from '../../args/option-values.ts';
import type { Cli } from '../../context.ts';

/** The `nats` CLI has the same option. */
export const domainOption = (): Option =>
  new Option('--js-domain <domain>', 'JetStream domain of the store (of the hub, from a leaf)').argParser(
    valueBy(jetStreamDomainSchema),
  );

/** Opens the store of a source host. Reads nothing yet. @param domain its JetStream domain */
export const streamsOf = async (bus: Bus, host: string, domain: string | undefined): Promise<StreamsBucket> =>
  openStreams({ ...(await storeConnection(bus, 'zpsend command (store)').open()), domain }, host);

/** The stored streams, in order. Unreadable objects are reported on standard error. */
export const waitingOf = async (cli: Cli, bucket: StreamsBucket): Promise<readonly WaitingStream[]> =>
  (await readCatalog(bucket, (why) => cli.io.err(`zpsend: ${why}`)).read()).waiting;
