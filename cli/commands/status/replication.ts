import { setTimeout as sleep } from 'node:timers/promises';
import type { Bus } from '../../../lib/bus/connection/connect.ts';
import { followStatus, readStatus, type StatusNews, type StoredStatus } from '../../../lib/bus/status/read.ts';
import { statusBucket, statusKey } from '../../../lib/bus/subjects.ts';
import { timing } from '../../../lib/time/timing.ts';
import type { FleetOutput, FleetRow } from '../../../schemas/status.ts';
import type { Cli } from '../../context.ts';
import { exit } from '../../exit-codes.ts';
import { isLonger, showInPager } from '../../output/pager.ts';
import { fleetLines, fleetRow, summaryOf } from '../../output/replication.ts';
import type { Io } from '../../output/terminal.ts';
import { checkOf, unknown } from './check.ts';
import { type FleetFilter, isShown } from './filter.ts';

const noBucket =
  `there is no bucket ${statusBucket} yet. The first job of a sender creates it; if senders may not: ` +
  `nats kv add ${statusBucket} --history 1 --replicas 3. zpsend status --jobs shows the running jobs`;
const nothing = 'no replication is recorded';

/** Which rows are shown, and how. */
export interface FleetView {
  readonly json: boolean;
  readonly filter: FleetFilter;
  /** The arguments that `filter` is from; undefined for all rows. */
  readonly selection: string | undefined;
  /** Seconds after which a row is stale; undefined for each entry's interval. */
  readonly stale: number | undefined;
}

const rowsOf = (found: Iterable<StoredStatus>, { now }: StatusNews, { filter, stale }: FleetView): FleetRow[] =>
  [...found].map((one) => fleetRow(one, now, stale)).filter((row) => isShown(filter, row));

/** Why there are no rows. */
function whyNone(news: StatusNews | undefined, isEmpty: boolean, { selection }: FleetView): string {
  if (!news) return noBucket;
  return isEmpty || selection === undefined ? nothing : `no replication matches ${selection}; zpsend status lists all`;
}

/** The rows, and why there may be none. */
interface Shown {
  readonly rows: readonly FleetRow[];
  readonly why: string;
}

export async function readFleet(bus: Bus, view: FleetView): Promise<Shown> {
  const news = await readStatus(bus);
  return { rows: news ? rowsOf(news.found, news, view) : [], why: whyNone(news, news?.found.length === 0, view) };
}

/** Shows the rows once; on a terminal in a pager if they are longer than the screen. */
export async function showFleet({ io, env }: Cli, { rows, why }: Shown, { json }: FleetView): Promise<number> {
  const lines = linesOf(rows);
  if (json) io.out(JSON.stringify({ rows: [...rows], gone: [] } satisfies FleetOutput));
  else if (!(io.screen && isLonger(lines, io.screen) && (await showInPager(lines, env)))) lines.forEach(io.out);
  if (rows.length === 0) io.err(`zpsend: ${why}`);
  return exit.done;
}

const linesOf = (rows: readonly FleetRow[]): string[] =>
  rows.length > 0 ? [...fleetLines(rows), '', summaryOf(rows)] : [];

/** One line for a monitoring system. @returns the exit status that it expects */
export async function checkFleet(bus: Bus, io: Io, view: FleetView): Promise<number> {
  const { rows, why } = await readFleet(bus, view);
  const result = rows.length > 0 ? checkOf(rows) : unknown(why);
  io.out(result.line);
  return result.exit;
}

/** Shows the rows until the command ends. It misses only values that were overwritten within a second. */
export async function followFleet(bus: Bus, io: Io, view: FleetView): Promise<never> {
  const ask = await followStatus(bus);
  const known = new Map<string, StoredStatus>();
  let shown = new Map<string, string>();
  for (let isFirst = true; ; isFirst = false) {
    const news = await ask();
    if (!news || news.isWhole) known.clear();
    for (const key of news?.gone ?? []) known.delete(key);
    for (const one of news?.found ?? []) known.set(statusKey(one), one);
    const rows = news ? rowsOf(known.values(), news, view) : [];
    // a row becomes stale or silent without a write
    const changed = rows.filter((row) => shown.get(row.key) !== versionOf(row));
    const isNew = isFirst || changed.length > 0 || shown.size !== rows.length;
    const left = [...shown.keys()].filter((key) => !rows.some((row) => row.key === key));
    shown = new Map(rows.map((row) => [row.key, versionOf(row)]));
    const lines = rows.length > 0 ? linesOf(rows) : [whyNone(news, known.size === 0, view)];
    if (view.json && isNew) {
      io.out(
        JSON.stringify({ rows: changed, gone: [...new Set([...(news?.gone ?? []), ...left])] } satisfies FleetOutput),
      );
    } else if (!view.json && io.isTerminal) io.page(lines);
    else if (!view.json && isNew) lines.forEach(io.out);
    await sleep(timing.cli.statusMs);
  }
}

const versionOf = ({ revision, state }: FleetRow): string => `${revision} ${state}`;
