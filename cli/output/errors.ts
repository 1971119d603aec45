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
 * An error for a person: `zpsend: CODE: message`, and what a refusal rests on, a line each.
 * @param dataset the one of several that it is about; told where the message does not
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

/** Why a job failed; of a package a line for each dataset with a reason of its own. */
export function jobErrorLines(error: ErrorBody, job: Job | undefined): string[] {
  if (job?.request.package === undefined) return errorLines(error, job?.evidence);
  const { failed, list } = job.datasets;
  const listed = list.flatMap((one) =>
    one.error && hasFailed(one) ? [{ dataset: one.dataset, error: one.error }] : [],
  );
  const own = listed.filter((one) => one.error.message !== error.message);
  // an error that says how many failed says nothing more than they do; that of an abort is told once for all
  const isTold = own.length > 0 && own.length === listed.length;
  const hidden = failed - listed.length;
  return [
    ...own.flatMap((one) => errorLines(one.error, undefined, one.dataset)),
    ...(hidden > 0 ? [`zpsend: ${counted(hidden, 'more dataset')} failed`] : []),
    ...(isTold ? [] : errorLines(error, job.evidence)),
  ];
}
