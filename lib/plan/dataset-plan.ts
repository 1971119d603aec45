import type { Note, Step } from '../../schemas/plan.ts';
import type { Refusal } from './refusal.ts';

/** The plan of one dataset of a request. */
export interface DatasetPlan {
  sourceDataset: string;
  targetDataset: string;
  /** Its chain, in order; empty if nothing has to be sent, or with a refusal. */
  steps: Step[];
  refusal?: Refusal;
  /** The source's dataset whose first step has to come before these, because it updates the encryption root's key. */
  keyFrom?: string;
}

export interface DatasetPlans {
  /** Parents come before their children, and origins before their clones. */
  datasets: DatasetPlan[];
  notes: Note[];
}
