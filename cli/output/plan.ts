import type { PlanReply, Step } from '../../schemas/plan.ts';
import type { SendRequest } from '../../schemas/request.ts';
import type { StreamFlag } from '../../schemas/stream.ts';
import { bytes, counted } from './format.ts';
import { type Column, table } from './table.ts';

const letters: Record<StreamFlag, string> = { raw: 'w', 'large-block': 'L', embed: 'e', compressed: 'c', props: 'p' };

/** As for zfs send: `-Lec`. */
const flagsOf = ({ flags = [] }: Step): string =>
  flags.length > 0 ? `-${flags.map((flag) => letters[flag]).join('')}` : '-';

const columns: Column<Step>[] = [
  { title: 'TYPE', value: (step) => (step.type === 'full' ? 'full' : 'incr') },
  { title: 'SNAPSHOT', value: (step) => step.to.name },
  { title: 'INCREMENTAL FROM', value: (step) => step.from?.name ?? '-' },
  { title: 'SIZE', value: (step) => (step.size === undefined ? '-' : bytes(step.size)), right: true },
  { title: 'TARGET', value: (step) => step.targetDataset },
];
const withFlags: Column<Step>[] = [...columns, { title: 'FLAGS', value: flagsOf }];

/** The plan as a table, with its notes and totals. */
export function planLines(request: SendRequest, reply: PlanReply): string[] {
  const { targetHost, channel, plan } = reply;
  if (!plan.ok) return [];
  const { steps, notes = [], refused = [] } = plan;
  const to = channel === 'store' ? `the store for ${targetHost}` : targetHost;
  const parts = [
    table(steps.some(({ flags }) => flags?.length) ? withFlags : columns, steps),
    notes.map(({ message }) => `note: ${message}`),
    [steps.length > 0 ? totalsOf(request, to, steps) : nothing(request, reply, refused.length)],
  ];
  return parts.filter((lines) => lines.length > 0).flatMap((lines, at) => (at > 0 ? ['', ...lines] : lines));
}

function totalsOf(request: SendRequest, to: string, steps: readonly Step[]): string {
  const size = steps.reduce((sum, step) => sum + (step.size ?? 0), 0);
  const datasets = new Set(steps.map((step) => step.targetDataset)).size;
  const where = request.package ? ` in ${counted(datasets, 'dataset')}` : '';
  return `${counted(steps.length, 'step')}${where} to ${to}, about ${bytes(size)}`;
}

const nothing = ({ dataset }: SendRequest, { targetHost, channel }: PlanReply, refused: number): string => {
  const has = channel === 'store' ? 'has, or has stored for it,' : 'has';
  return `nothing to do: ${targetHost} ${has} all of ${dataset}${refused > 0 ? `, but ${counted(refused, 'dataset')} refused` : ''}`;
};
