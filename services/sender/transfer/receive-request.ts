import type { Step } from '../../../schemas/plan.ts';
import type { PropertyWishes } from '../../../schemas/properties.ts';
import type { StoredStart } from '../../../schemas/stored.ts';

export interface StartOrder {
  readonly transfer: string;
  readonly job: string;
  /** The host that sends. */
  readonly sourceHost: string;
  readonly properties?: PropertyWishes | undefined;
}

/** The facts of a step that a receiver needs. */
export const stepStart = (step: Step): Omit<StoredStart, keyof StartOrder> => ({
  targetDataset: step.targetDataset,
  to: { name: step.to.name, guid: step.to.guid },
  ...(step.from && { from: { guid: step.from.guid } }),
  ...(step.origin !== undefined && { origin: step.origin }),
  ...(step.parents && { parents: step.parents }),
  ...(step.flags?.includes('raw') && { raw: true }),
  ...(step.wrapping && { wrapping: step.wrapping }),
  ...(step.replaces && { replaces: step.replaces }),
  ...(step.encryptionRoot !== undefined && { encryptionRoot: step.encryptionRoot }),
  ...(step.flags?.includes('props') && { props: true }),
  ...(step.record !== undefined && { record: step.record }),
  ...(step.volume && { volume: true }),
});

/** The request for a step, on either channel. */
export const startOf = ({ transfer, job, sourceHost, properties }: StartOrder, step: Step): StoredStart => ({
  transfer,
  job,
  sourceHost,
  ...stepStart(step),
  ...(properties && { properties }),
});
