import { isCommon, olderMissing, toSend } from '../../../lib/verify/compare.ts';
import type {
  Content,
  RestrictedSide,
  VerifiedDataset,
  VerifiedSnapshot,
  VerifyOutput,
} from '../../../schemas/verify.ts';
import { type Column, table } from '../../output/table.ts';

const count = ({ snapshots }: VerifiedDataset, state: VerifiedSnapshot['state']): string =>
  String(snapshots.filter((snapshot) => snapshot.state === state).length);

const datasetColumns: Column<VerifiedDataset>[] = [
  { title: 'DATASET', value: ({ source }) => source },
  { title: 'TARGET', value: ({ target }) => target },
  { title: 'STATE', value: ({ state }) => state },
  { title: 'NEWEST COMMON', value: ({ newestCommon }) => (newestCommon === undefined ? '-' : `@${newestCommon}`) },
  { title: 'COMMON', value: ({ snapshots }) => String(snapshots.filter(isCommon).length), right: true },
  { title: 'TO SEND', value: ({ snapshots }) => String(toSend(snapshots)), right: true },
  { title: 'OLDER MISSING', value: ({ snapshots }) => String(olderMissing(snapshots)), right: true },
  { title: 'TARGET ONLY', value: (dataset) => count(dataset, 'extra'), right: true },
  { title: 'DIFFERENT', value: (dataset) => count(dataset, 'different'), right: true },
];

/** Of the contents that were read, how many are equal: `3/4 equal`. */
const contentsColumn: Column<VerifiedDataset> = { title: 'CONTENTS', value: contentsOf };

function contentsOf({ snapshots }: VerifiedDataset): string {
  const states = snapshots.flatMap(({ content }) => (content ? [content.state] : []));
  if (states.length === 0) return '-';
  return `${states.filter((state) => state === 'equal').length}/${states.length} equal`;
}

const snapshotColumns: Column<{ dataset: VerifiedDataset; snapshot: VerifiedSnapshot }>[] = [
  {
    title: 'SNAPSHOT',
    value: ({ dataset, snapshot: { source, target } }) =>
      source ? `${dataset.source}@${source.name}` : `${dataset.target}@${target?.name ?? ''}`,
  },
  { title: 'STATE', value: ({ snapshot }) => snapshot.state },
  { title: 'GUID', value: ({ snapshot: { source } }) => source?.guid ?? '-', right: true },
  { title: 'ON TARGET', value: ({ snapshot: { target } }) => (target ? `@${target.name}` : '-') },
  { title: 'GUID THERE', value: ({ snapshot: { target } }) => target?.guid ?? '-', right: true },
  { title: 'CONTENTS', value: ({ snapshot: { content } }) => content?.state ?? '-' },
];

/** A row for each dataset. @param detailed with a row for each snapshot */
export function verifyLines({ datasets }: VerifyOutput, detailed: boolean): string[] {
  const isRead = datasets.some(({ snapshots }) => snapshots.some(({ content }) => content));
  const rows = datasets.flatMap((dataset) => dataset.snapshots.map((snapshot) => ({ dataset, snapshot })));
  return [
    ...table(isRead ? [...datasetColumns, contentsColumn] : datasetColumns, datasets),
    ...(detailed && rows.length > 0 ? ['', ...table(snapshotColumns, rows)] : []),
  ];
}

const shown = 20;

/** A line for each difference that needs attention. */
export function verifyNotes({ datasets, target, restricted = [] }: VerifyOutput): string[] {
  const notes = datasets.flatMap((dataset) => [
    ...(dataset.targetIsAhead && dataset.state === 'equal' ? [targetIsAheadNote(dataset, target)] : []),
    ...dataset.snapshots.flatMap((snapshot) => noteOf(dataset, snapshot)),
  ]);
  const hidden = notes.length - shown;
  return [
    ...restricted.map(restrictedNote),
    ...notes.slice(0, shown),
    ...(hidden > 0 ? [`zpsend: and ${hidden} more (--json lists all)`] : []),
  ];
}

const restrictedNote = ({ host, dataset }: RestrictedSide): string =>
  `zpsend: ${host} does not show all of ${dataset} to this host; the rest is not compared`;

const targetIsAheadNote = ({ target, newestCommon }: VerifiedDataset, host: string): string =>
  `zpsend: ${target} on ${host} has snapshots newer than @${newestCommon} that the source lacks: the next send will be refused ` +
  '(zpsend plan shows what --conflict would do)';

function noteOf(dataset: VerifiedDataset, { state, source, target, content }: VerifiedSnapshot): string[] {
  if (!source || !target) return [];
  const names = `${dataset.source}@${source.name} and ${dataset.target}@${target.name}`;
  const note = (what: string) => `zpsend: ${names} ${what}`;
  if (state === 'different') return [note(`are two snapshots, ${source.guid} and ${target.guid}`)];
  return [...(state === 'renamed' ? [note('are the same snapshot')] : []), ...contentNote(content).map(note)];
}

function contentNote(content: Content | undefined): string[] {
  if (!content || content.state === 'equal') return [];
  if (content.state === 'different')
    return [
      'have the same guid and different contents: one of them is damaged or forged. Run zpool scrub on both hosts',
    ];
  const why = content.reason ?? content.error?.message ?? 'unknown reason';
  const words = {
    incomparable: 'cannot be compared',
    gone: 'do not both exist now',
    failed: 'could not be read',
  };
  return [`${words[content.state]}: ${why}`];
}
