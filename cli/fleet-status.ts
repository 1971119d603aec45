import { setTimeout as sleep } from 'node:timers/promises';
import type { Bus } from '../lib/bus/connect.ts';
import { followStatus, readStatus, type StoredStatus } from '../lib/bus/status/read.ts';
import { statusBucket, statusKey } from '../lib/bus/subjects.ts';
import type { FleetOutput } from '../schemas/status.ts';
import { exit } from './exit.ts';
import { fleetLines, fleetRow } from './fleet-table.ts';
import type { Io } from './io.ts';

const everyMs = 1000;

const noBucket =
  `there is no bucket ${statusBucket} yet: the first job of a sender makes it, or, where senders may not, you do: ` +
  `nats kv add ${statusBucket} --history 1 --replicas 3; what hosts send now: zpsend status --jobs`;
const nothing = 'nothing has been sent yet';

/** What the whole fleet's replication looks like, once. */
export async function showFleet(bus: Bus, io: Io, json: boolean): Promise<number> {
  const news = await readStatus(bus);
  const rows = news?.found.map((one) => fleetRow(one, news.now)) ?? [];
  if (json) io.out(JSON.stringify({ rows, gone: [] } satisfies FleetOutput));
  else if (rows.length > 0) fleetLines(rows).forEach(io.out);
  if (rows.length === 0) io.err(`zpsend: ${news ? nothing : noBucket}`);
  return exit.done;
}

/** The same until the command is ended. Nothing goes unseen but what has been overwritten within a second. */
export async function followFleet(bus: Bus, io: Io, json: boolean): Promise<never> {
  const ask = await followStatus(bus);
  const known = new Map<string, StoredStatus>();
  for (let isFirst = true; ; isFirst = false) {
    const news = await ask();
    if (!news || news.isWhole) known.clear();
    for (const key of news?.gone ?? []) known.delete(key);
    for (const one of news?.found ?? []) known.set(statusKey(one), one);
    const isNew = isFirst || (news && (news.isWhole || news.found.length + news.gone.length > 0));
    const rows = news ? [...known.values()].map((one) => fleetRow(one, news.now)) : [];
    const lines = rows.length > 0 ? fleetLines(rows) : [news ? nothing : noBucket];
    if (json && isNew) {
      const changed = news?.found.map((one) => fleetRow(one, news.now)) ?? [];
      io.out(JSON.stringify({ rows: changed, gone: [...(news?.gone ?? [])] } satisfies FleetOutput));
    } else if (!json && io.isTerminal) io.page(lines);
    else if (!json && isNew) lines.forEach(io.out);
    await sleep(everyMs);
  }
}
