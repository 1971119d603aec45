import { isPayloadTrouble } from '../../lib/bus/connection/payload.ts';
import { entriesPerPart, toParts } from '../../lib/bus/rpc/inventory-parts.ts';
import { numbered } from '../../lib/bus/rpc/parts.ts';
import type { Served } from '../../lib/bus/rpc/serve.ts';
import { serveVerb } from '../../lib/bus/rpc/serve-verbs.ts';
import { subjects } from '../../lib/bus/subjects.ts';
import { ZpsendError } from '../../schemas/errors.ts';
import { type SnapshotsRequest, snapshotsRequestSchema } from '../../schemas/host.ts';
import type { DatasetEntry, Inventory } from '../../schemas/inventory.ts';
import { poolOf } from '../../schemas/names.ts';
import { type AskedDeps, type AskerRules, sentTo } from './ask-rules.ts';
import { isInPlace, mayAsk, type Shown, showing, shownTo } from './shown.ts';

/** Listings at once: each is a process, and memory for all it prints. */
const atOnce = 4;

/** Serves `zfs.<host>.snapshots`: all of it to administrators and viewers, and to another host the datasets that concern it. */
export function serveListings(deps: AskedDeps, isPrivate: boolean): Served[] {
  const { host, instance, bus } = deps;
  return serveVerb(
    { bus, queue: 'host', instance, isPrivate },
    {
      name: 'snapshots',
      subject: subjects.snapshots(host),
      atOnce,
      request: snapshotsRequestSchema,
      fromText: (dataset) => ({ dataset }),
      handle: (asked) => list(deps, asked),
      from: { subject: subjects.snapshotsFrom(host, '*'), handle: (asked, asker) => listFor(deps, asker, asked) },
    },
  );
}

async function* list({ host, bus, zfs, log }: AskedDeps, asked: SnapshotsRequest, shown?: Shown) {
  const [entries, pools] = await Promise.all([
    zfs.list({
      ...(asked.dataset !== undefined && { dataset: asked.dataset }),
      ...(asked.recursive !== undefined && { recursive: asked.recursive }),
      ...(asked.creation && { creation: true }),
    }),
    zfs.poolFacts(asked.dataset && poolOf(asked.dataset)),
  ]);
  const datasets = shown ? showing(entries, shown, asked.dataset) : entries;
  const isRestricted = datasets.length < entries.length || datasets.some(({ withheld }) => withheld);
  const count = datasets.reduce((sum, dataset) => sum + dataset.snapshots.length, 0);
  log.info('listing.sent', `sending a list of ${count} snapshots for ${asked.dataset ?? 'all datasets'}`);
  const facts: Omit<Inventory, 'host' | 'datasets'> = {
    ...(pools && { features: pools.features, active: pools.active }),
    ...(pools && pools.readOnlyPools.length > 0 && { readOnlyPools: pools.readOnlyPools }),
    ...(isRestricted && { restricted: true }),
  };
  const parts = [...toParts(datasets, entriesPerPart(bus.maxPayload))];
  const [first, ...others] = parts.map((part: DatasetEntry[]): Inventory => ({ host, datasets: part }));
  if (first) yield* numbered([{ ...first, ...facts }, ...others]);
}

/** @throws ZpsendError NOT_ALLOWED for a dataset that the asking host may not list, whether it exists or not */
async function* listFor(deps: AskedDeps, asker: string, asked: SnapshotsRequest) {
  const { host, bus } = deps;
  const rules = deps.settings.now.config;
  const isDecided = rules.send.allow !== undefined || isInPlace(rules, asker, asked);
  const shown = shownTo(asker, rules, isDecided ? [] : await sentTo(bus, host, asker));
  if (!mayAsk(shown, asked)) throw notFor(asker, host, asked, rules);
  try {
    yield* list(deps, asked, shown);
  } catch (thrown) {
    const error = ZpsendError.from(thrown);
    const { code, message, details } = error;
    if (code === 'NO_SUCH_DATASET') throw thrown;
    // its words may name datasets that are not this host's to know
    deps.log.warn('listing.failed', `no listing for ${asker}: ${code}: ${message}`, { code });
    throw new ZpsendError(
      code,
      `${host} could not list ${asked.dataset ?? 'its datasets'}: see its log for the reason`,
      {
        ...(details && isPayloadTrouble(error) && { reason: 'payload-limit', maxPayload: details.maxPayload }),
        host,
      },
    );
  }
}

function notFor(
  asker: string,
  host: string,
  { dataset = 'anything' }: SnapshotsRequest,
  rules: AskerRules,
): ZpsendError {
  const sends = rules.send.allow ? 'its send.allow does not send it there' : 'it was never sent there';
  return new ZpsendError(
    'NOT_ALLOWED',
    `${asker} may not list ${dataset} on ${host}: its receive.allow does not let ${asker} write there, and ${sends}. ` +
      `To write there, add {from: "${asker}", into: "${dataset}"}, or a dataset above, to receive.allow on ${host}. An administrator asks as himself, without the inbox prefix of a host`,
    { asker, dataset },
  );
}
