import type { Note, Step } from '../../schemas/plan.ts';
import type { Refusal } from './refusal.ts';

/** What one dataset of a request needs. */
export interface DatasetPlan {
  sourceDataset: string;
  targetDataset: string;
  /** Its chain, in order; none where there is nothing to do, or a refusal. */
  steps: Step[];
  refusal?: Refusal;
  /** The source's dataset whose first step has to bring the key that wraps this one's, before any of these. */
  keyFrom?: string;
}

export interface DatasetPlans {
  /** In an order in which parents come before their children, and origins before their clones. */
  datasets: DatasetPlan[];
  notes: Note[];
}
