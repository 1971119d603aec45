import type { PlanReply, SendRequest, Step } from '../schemas/plan.ts';
import { bytes, counted } from './format.ts';
import { type Column, table } from './table.ts';

const columns: Column<Step>[] = [
  { title: 'TYPE', value: (step) => (step.type === 'full' ? 'full' : 'incr') },
  { title: 'SNAPSHOT', value: (step) => step.to.name },
  { title: 'INCREMENTAL FROM', value: (step) => step.from?.name ?? '-' },
  { title: 'SIZE', value: (step) => (step.size === undefined ? '-' : bytes(step.size)), right: true },
  { title: 'TARGET', value: (step) => step.target },
];

/** The plan as the table of design section 6; nothing to do is a sentence. */
export function planLines(request: SendRequest, { target, plan }: PlanReply): string[] {
  if (!plan.ok) return [];
  if (plan.steps.length === 0) return [`nothing to do: ${target} has all of ${request.dataset}`];
  const size = plan.steps.reduce((sum, step) => sum + (step.size ?? 0), 0);
  return [
    ...table(columns, plan.steps),
    '',
    `${counted(plan.steps.length, 'step')} to ${target}, about ${bytes(size)}`,
  ];
}
