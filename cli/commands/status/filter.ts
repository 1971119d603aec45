import { matches } from '../../../lib/plan/request/pattern.ts';
import { isWithin, patternSchema } from '../../../schemas/names.ts';
import type { FleetRow } from '../../../schemas/status.ts';
import { parseHost } from '../../args/names.ts';
import { usage } from '../../exit-codes.ts';

/** Selects rows by host, by dataset with all below it, or by both. Either side of a row may match. */
export interface FleetFilter {
  readonly host?: string;
  /** A name or a pattern. */
  readonly dataset?: string;
}

/**
 * `HOST`, `DATASET`, or `HOST:DATASET`. A dataset has a `/`, a `*` or a `?` in it, or a colon before it; else it is a host.
 * @throws ZpsendError BAD_REQUEST
 */
export function parseFilter(text: string): FleetFilter {
  const colon = /^[^/@#*?]*:/.exec(text)?.[0].length ?? 0;
  if (colon === 0 && !/[/@#*?]/.test(text)) return { host: parseHost(text) };
  const [host, dataset] = [text.slice(0, Math.max(0, colon - 1)), text.slice(colon)];
  if (/[@#]/.test(dataset)) throw usage(`"${text}": name a dataset, not a snapshot`);
  if (/^\/|\/$/.test(dataset)) {
    const meant = `${text.slice(0, colon)}${dataset.replace(/^\/+|\/+$/g, '')}`;
    throw usage(`"${text}": a dataset has no slash at its beginning or end: write ${meant}`);
  }
  const parsed = patternSchema.safeParse(dataset);
  if (!parsed.success) throw usage(`"${dataset}" in "${text}": ${parsed.error.issues[0]?.message}`);
  return { dataset: parsed.data, ...(host !== '' && { host: parseHost(host) }) };
}

export function isShown(
  { host, dataset }: FleetFilter,
  row: Pick<FleetRow, 'source' | 'dataset' | 'target' | 'into'>,
): boolean {
  const matchesSide = (side: { readonly host: string; readonly dataset: string }): boolean =>
    (host === undefined || side.host === host) &&
    (dataset === undefined || isWithin(side.dataset, dataset) || matches(dataset, side.dataset));
  return (
    matchesSide({ host: row.source, dataset: row.dataset }) || matchesSide({ host: row.target, dataset: row.into })
  );
}
