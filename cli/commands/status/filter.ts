import { z } from 'zod';
import { matches } from '../../../lib/plan/request/pattern.ts';
import { isWithin, patternSchema } from '../../../schemas/names.ts';
import { type FleetRow, fleetRowSchema } from '../../../schemas/status.ts';
import { parseHost } from '../../args/names.ts';
import { valueBy } from '../../args/option-values.ts';
import { usage } from '../../exit-codes.ts';

const { state: stateSchema } = fleetRowSchema.shape;

export const states = stateSchema.options;

/** Selects rows: all that is set must match. */
export interface FleetFilter {
  /** The host on either side. */
  readonly host?: string;
  /** A name or a pattern, with all below it, on either side. */
  readonly dataset?: string;
  readonly source?: string;
  readonly target?: string;
  readonly states?: readonly FleetRow['state'][];
}

/**
 * `HOST`, `DATASET`, or `HOST:DATASET`. A dataset has a `/`, a `*` or a `?` in it, or a colon before it; else it is a host.
 * @throws ZpsendError BAD_REQUEST
 */
export function parseFilter(text: string): Pick<FleetFilter, 'host' | 'dataset'> {
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

/** A parser of `failed,stale`. @throws InvalidArgumentError */
export const statesIn = valueBy(
  z
    .string()
    .transform((text) => text.split(','))
    .pipe(z.array(stateSchema).min(1)),
  `allowed choices are ${stateSchema.options.join(', ')}, separated by commas`,
);

export function isShown(
  { host, dataset, source, target, states }: FleetFilter,
  row: Pick<FleetRow, 'source' | 'dataset' | 'target' | 'into' | 'state'>,
): boolean {
  const matchesSide = (side: { readonly host: string; readonly dataset: string }): boolean =>
    (host === undefined || side.host === host) &&
    (dataset === undefined || isWithin(side.dataset, dataset) || matches(dataset, side.dataset));
  return (
    (source === undefined || row.source === source) &&
    (target === undefined || row.target === target) &&
    (states === undefined || states.includes(row.state)) &&
    (matchesSide({ host: row.source, dataset: row.dataset }) || matchesSide({ host: row.target, dataset: row.into }))
  );
}
