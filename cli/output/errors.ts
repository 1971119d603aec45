import type { ErrorBody } from '../../schemas/errors.ts';
import type { Job } from '../../schemas/job.ts';
import type { Evidence } from '../../schemas/plan.ts';
import { bytes, counted } from './format.ts';
import { hasFailed } from './job-progress.ts';

const shown = 20;

function names(list: readonly string[]): string {
  if (list.length === 0) return '-';
  const hidden = list.length - shown;
  const newest = list.slice(-shown).map((name) => `@${name}`);
  return `${newest.join(' ')}${hidden > 0 ? ` (and ${hidden} older)` : ''}`;
}

/**
 * An error in lines: `zpsend: CODE: message`, then the evidence of a refusal.
 * @param dataset the failed dataset of a package, added if the message does not name it
 */
export const errorLines = ({ code, message }: ErrorBody, evidence?: Evidence, dataset = ''): string[] => [
  `zpsend: ${code}: ${message.includes(dataset) ? '' : `${dataset}: `}${message}`,
  ...(evidence
    ? [
        `  newest common: ${evidence.newestCommon === null ? '-' : `@${evidence.newestCommon}`}`,
        `  source only:   ${names(evidence.sourceOnly)}`,
        `  target only:   ${names(evidence.targetOnly)}`,
        ...(evidence.modified === undefined
          ? []
          : [`  modified:      ${bytes(evidence.modified)} since its newest snapshot`]),
      ]
    : []),
];

/** Why a job failed. A package has lines for each dataset that failed for a different reason. */
export function jobErrorLines(error: ErrorBody, job: Job | undefined): string[] {
  if (job?.request.package === undefined) return errorLines(error, job?.evidence);
  const { failed, list } = job.datasets;
  const listed = list.flatMap((one) =>
    one.error && hasFailed(one) ? [{ dataset: one.dataset, error: one.error }] : [],
  );
  const own = listed.filter((one) => one.error.message !== error.message);
  // the job's error only counts the failed datasets; an abort is reported once
  const isCovered = own.length > 0 && own.length === listed.length;
  const hidden = failed - listed.length;
  return [
    ...own.flatMap((one) => errorLines(one.error, undefined, one.dataset)),
    ...(hidden > 0 ? [`zpsend: ${counted(hidden, 'more dataset')} failed`] : []),
    ...(isCovered ? [] : errorLines(error, job.evidence)),
  ];
}
