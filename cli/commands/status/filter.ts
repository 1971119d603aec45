import { matches } from '../../../lib/plan/request/pattern.ts';
import { isWithin, patternSchema } from '../../../schemas/names.ts';
import type { FleetRow } from '../../../schemas/status.ts';
import { parseHost } from '../../args/names.ts';
import { usage } from '../../exit-codes.ts';

/** Which rows are shown: those of a host, of a dataset with all below it, or both. Either side of a row may fit. */
export interface FleetFilter {
  readonly host?: string;
  /** A dataset's name, or a pattern of names. */
  readonly dataset?: string;
}

/**
 * `HOST`, `DATASET`, or `HOST:DATASET`. One word is a host; a dataset has a `/`, a `*` or a `?` in it, or a colon before it.
 * @throws ZpsendError BAD_REQUEST
 */
export function parseFilter(text: string): FleetFilter {
  const colon = /^[^/@#*?]*:/.exec(text)?.[0].length ?? 0;
  if (colon === 0 && !/[/@#*?]/.test(text)) return { host: parseHost(text) };
  const [host, dataset] = [text.slice(0, Math.max(0, colon - 1)), text.slice(colon)];
  if (/[@#]/.test(dataset)) throw usage(`"${text}": a row is of a dataset, not of a snapshot`);
  const parsed = patternSchema.safeParse(dataset);
  if (!parsed.success) throw usage(`"${dataset}" in "${text}": ${parsed.error.issues[0]?.message}`);
  return { dataset: parsed.data, ...(host !== '' && { host: parseHost(host) }) };
}

export function isShown(
  { host, dataset }: FleetFilter,
  row: Pick<FleetRow, 'source' | 'dataset' | 'target' | 'into'>,
): boolean {
  const fits = (side: { readonly host: string; readonly dataset: string }): boolean =>
    (host === undefined || side.host === host) &&
    (dataset === undefined || isWithin(side.dataset, dataset) || matches(dataset, side.dataset));
  return fits({ host: row.source, dataset: row.dataset }) || fits({ host: row.target, dataset: row.into });
}
