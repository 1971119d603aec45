import type { Job } from '../../schemas/job.ts';
import type { StatusOutput } from '../../schemas/output.ts';
import type { TransferState } from '../../schemas/transfer.ts';
import { bytes, duration, rate } from './format.ts';
import { targetOf } from './job-progress.ts';
import { type Column, table } from './table.ts';
import { waitWords } from './waits.ts';

type Transfer = TransferState & { host: string };

const speed = (count: number, seconds: number): string => rate(seconds > 0 ? count / seconds : undefined);

const jobColumns: Column<Job>[] = [
  { title: 'HOST', value: ({ host }) => host },
  { title: 'JOB', value: ({ job }) => job },
  { title: 'STATE', value: ({ state }) => state },
  { title: 'DATASET', value: ({ request }) => request.dataset },
  { title: 'TO', value: ({ request }) => targetOf(request) },
  {
    title: 'DATASETS',
    value: ({ request, datasets: { done, total } }) => (request.package ? `${done}/${total}` : '-'),
    right: true,
  },
  { title: 'STEPS', value: ({ done, steps }) => `${done}/${steps}`, right: true },
  { title: 'SENT', value: (job) => bytes(job.bytes), right: true },
  { title: 'RATE', value: (job) => speed(job.bytes, job.seconds), right: true },
  { title: 'TIME', value: ({ seconds }) => duration(seconds), right: true },
  {
    title: 'NOW',
    value: ({ error, waiting, current }) => error?.code ?? (waiting && waitWords(waiting)) ?? current?.to.name ?? '-',
  },
];

const transferColumns: Column<Transfer>[] = [
  { title: 'HOST', value: ({ host }) => host },
  { title: 'TRANSFER', value: ({ transfer }) => transfer },
  { title: 'STATE', value: ({ state }) => state },
  { title: 'SNAPSHOT', value: ({ snapshot }) => snapshot },
  { title: 'FROM', value: ({ sourceHost }) => sourceHost },
  { title: 'INTO', value: ({ targetDataset }) => targetDataset },
  { title: 'RECEIVED', value: ({ received }) => bytes(received), right: true },
  { title: 'RATE', value: ({ received, seconds }) => speed(received, seconds), right: true },
  { title: 'TIME', value: ({ seconds }) => duration(seconds), right: true },
];

/** Jobs, then transfers; a sentence if there are none. */
export function statusLines({ hosts }: StatusOutput): string[] {
  const jobs = hosts.flatMap((host) => host.jobs);
  const transfers = hosts.flatMap(({ host, transfers }) => transfers.map((transfer) => ({ ...transfer, host })));
  if (hosts.length === 0) return ['no host answers'];
  if (jobs.length + transfers.length === 0)
    return [`no job or transfer on ${hosts.map(({ host }) => host).join(', ')}`];
  const between = jobs.length > 0 && transfers.length > 0 ? [''] : [];
  return [...table(jobColumns, jobs), ...between, ...table(transferColumns, transfers)];
}
