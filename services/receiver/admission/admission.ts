import { subjects } from '../../../lib/bus/subjects.ts';
import { someOf } from '../../../lib/plan/refusal.ts';
import type { InspectedName, Zfs } from '../../../lib/zfs/zfs.ts';
import type { ReceiveConfig } from '../../../schemas/config.ts';
import { ZpsendError } from '../../../schemas/errors.ts';
import { datasetOf, isWithin, leafOf, parentOf } from '../../../schemas/names.ts';
import { streamMarkSchema } from '../../../schemas/stream.ts';
import type { ReceiveStart } from '../../../schemas/transfer.ts';
import { namesOfResolution, viewAfter } from './allowed-conflicts.ts';
import { ancestorsOf, missingParents } from './parents.ts';
import { streamProperty } from './properties.ts';
import type { View } from './view.ts';

interface Allowed {
  readonly allow: readonly Pick<ReceiveConfig['allow'][number], 'from' | 'into'>[];
}

/** Datasets at and below which a source may write. */
export const placesOf = ({ sourceHost }: Pick<ReceiveStart, 'sourceHost'>, allow: Allowed['allow']): string[] =>
  allow.filter(({ from }) => from === '*' || from === sourceHost).map(({ into }) => into);

/**
 * Does the request come from the source that its body names? The server lets each host publish only in its own name there (I11).
 * @throws ZpsendError NOT_ALLOWED
 */
export function checkAsker({ sourceHost }: Pick<ReceiveStart, 'sourceHost'>, host: string, subject: string): void {
  if ([subjects.receiveFrom(host, sourceHost), subjects.receiveCheckFrom(host, sourceHost)].includes(subject)) return;
  throw new ZpsendError('NOT_ALLOWED', `a request on ${subject} claims to come from ${sourceHost}`, {
    source: sourceHost,
  });
}

/**
 * May this source write there? It proves its name later, on the data subject (I11).
 * @throws ZpsendError NOT_ALLOWED
 */
export function checkAllowed(start: ReceiveStart, host: string, { allow }: Allowed): void {
  const { sourceHost, targetDataset, origin } = start;
  const places = placesOf(start, allow);
  const mayWrite = (name: string): boolean => places.some((into) => isWithin(name, into));
  if (!mayWrite(targetDataset)) {
    const allows = places.length > 0 ? `${someOf(places, '', 10)} and below` : 'it nothing';
    throw new ZpsendError(
      'NOT_ALLOWED',
      `${sourceHost} may not write to ${targetDataset} on ${host}: its receiver allows ${allows}. ${ruleFor(sourceHost, targetDataset)}`,
      { source: sourceHost, dataset: targetDataset },
    );
  }
  if (origin === undefined || mayWrite(datasetOf(origin))) return;
  throw new ZpsendError(
    'NOT_ALLOWED',
    `${sourceHost} may not clone ${origin} on ${host}. ${ruleFor(sourceHost, datasetOf(origin))}`,
    { source: sourceHost, origin },
  );
}

/** The rule that would allow it. */
const ruleFor = (source: string, targetDataset: string): string =>
  `If it may, add {from: "${source}", into: "${targetDataset}"}, or a dataset above, to receive.allow there (or ${source}=${targetDataset} to ZPSEND_ALLOW)`;

/** The snapshot that this step creates. */
export const arrivalOf = (start: Pick<ReceiveStart, 'targetDataset' | 'to'>): string =>
  `${start.targetDataset}@${leafOf(start.to.name) ?? ''}`;

/** The views, with the marks that name the owner of partial state. @throws ZpsendError */
export async function withMarks(
  zfs: Pick<Zfs, 'properties'>,
  { targetDataset, partial, record }: Pick<ReceiveStart, 'targetDataset' | 'partial' | 'record'>,
  seen: readonly InspectedName[],
): Promise<readonly View[]> {
  if (partial !== 'discard' || record === undefined) return seen;
  const names = seen
    .map(({ name }) => name)
    .filter((name) => name === targetDataset || name === parentOf(targetDataset));
  const values = names.length > 0 ? await zfs.properties(names, [streamProperty]) : new Map();
  return seen.map((view) => {
    const stream = streamMarkSchema.safeParse(values.get(view.name)?.[streamProperty]).data;
    return stream === undefined ? view : { ...view, stream };
  });
}

/** Does the step create its dataset, rather than add a snapshot to it? */
const createsDataset = (start: ReceiveStart): boolean => !start.from || start.origin !== undefined;

/** The names to inspect before a receive, with one `zfs list`. */
export function namesToInspect(start: ReceiveStart): string[] {
  const names = [
    start.targetDataset,
    arrivalOf(start),
    ...(createsDataset(start) ? ancestorsOf(start.targetDataset) : []),
    ...(start.origin === undefined ? [] : [start.origin]),
  ];
  return [...new Set([...names, ...namesOfResolution(start, names)])];
}

/**
 * Is the partial state that of another dataset's seed? Sources with datasets of one name may be allowed to write to one place. The
 * mark tells, unless it is inherited from the dataset above.
 */
function isForeign(
  { record }: ReceiveStart,
  { name, resumeToken, stream }: View,
  seen: ReadonlyMap<string, View>,
): boolean {
  if (resumeToken === undefined || record === undefined || stream === undefined) return false;
  const [ours, theirs] = [record, stream].map((mark) => mark.split(':', 1)[0]);
  return ours !== theirs && stream !== seen.get(parentOf(name) ?? '')?.stream;
}

/** The preparations of an admitted step before `zfs receive`. */
export interface Admission {
  /** The resume token of an interrupted receive, if there is one. */
  readonly token?: string;
  /** Missing parents to create, topmost first. */
  readonly parents: readonly string[];
  /** Of the dataset to which the step adds. */
  readonly type?: 'filesystem' | 'volume';
}

/**
 * Can this step be received into the target as it is, or as it is after the planned conflict resolution? The base's guid is checked by
 * `zfs receive`, which refuses without damage.
 * @throws ZpsendError EXISTS, DIVERGED, BASE_MISSING, ORIGIN_MISSING, NO_SUCH_DATASET, UNSUPPORTED, KEY_REQUIRED
 */
export function checkView(start: ReceiveStart, host: string, seen: readonly View[], { allow }: Allowed): Admission {
  const byName = new Map(viewAfter(start, host, seen).map((view) => [view.name, view]));
  const dataset = byName.get(start.targetDataset);
  const arrived = byName.get(arrivalOf(start));
  if (arrived?.guid === start.to.guid) {
    throw new ZpsendError('EXISTS', `${arrived.name} is on ${host} already`, {
      reason: 'has-snapshot',
      snapshot: arrived.name,
    });
  }
  if (arrived) {
    throw new ZpsendError('DIVERGED', `${host} has another snapshot named ${arrived.name} (guid ${arrived.guid})`, {
      snapshot: arrived.name,
      guid: arrived.guid,
    });
  }
  if (dataset && createsDataset(start) && !dataset.resumeToken) {
    throw new ZpsendError(
      'EXISTS',
      `${start.targetDataset} exists on ${host} already, and a full stream would replace it`,
      {
        dataset: start.targetDataset,
      },
    );
  }
  if (!dataset && !createsDataset(start)) {
    throw new ZpsendError(
      'BASE_MISSING',
      `${start.targetDataset} does not exist on ${host}, so an incremental has no base`,
      {
        dataset: start.targetDataset,
      },
    );
  }
  if (dataset?.keystatus === 'unavailable' && !start.raw) {
    throw new ZpsendError(
      'KEY_REQUIRED',
      `the key of ${start.targetDataset} on ${host} is not loaded there, so nothing can be written into it: zfs load-key ${start.targetDataset}`,
      { dataset: start.targetDataset },
    );
  }
  if (dataset && start.partial === 'discard' && isForeign(start, dataset, byName)) {
    throw new ZpsendError(
      'EXISTS',
      `${start.targetDataset} on ${host} has partial state of another dataset than ${datasetOf(start.to.name)} on ` +
        `${start.sourceHost}, which is not dropped: finish that receive, or zfs receive -A ${start.targetDataset}`,
      { dataset: start.targetDataset },
    );
  }
  const origin = start.origin === undefined ? undefined : byName.get(start.origin);
  if (start.origin !== undefined && (!origin || origin.guid !== start.from?.guid)) {
    throw new ZpsendError('ORIGIN_MISSING', `${start.origin} on ${host} is not the snapshot to clone from`, {
      origin: start.origin,
    });
  }
  if (!dataset) return { parents: missingParents(start, host, byName, placesOf(start, allow)) };
  const { resumeToken: token, type } = dataset;
  return {
    parents: [],
    ...(token !== undefined && { token }),
    ...(!createsDataset(start) && { type: type === 'volume' ? 'volume' : 'filesystem' }),
  };
}
