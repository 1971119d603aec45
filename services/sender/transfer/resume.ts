import { encodeToken, peekToken, type TokenContents } from '../../../lib/zfs/resume-token.ts';
import type { Zfs } from '../../../lib/zfs/zfs.ts';
import { ZpsendError } from '../../../schemas/errors.ts';
import { datasetOf } from '../../../schemas/names.ts';
import type { Step } from '../../../schemas/plan.ts';

/** The partial state that a transfer continues, if any. */
export interface Resume {
  token?: string;
  /** The target has partial state that cannot continue this step. */
  stale: boolean;
  offset: number;
}

/** Partial state of another dataset is another sender's work, and must not be discarded (I5). */
function checkOwn(step: Step, toname: string | undefined): void {
  if (toname !== undefined && datasetOf(toname) === datasetOf(step.to.name)) return;
  throw new ZpsendError(
    'EXISTS',
    `${step.targetDataset} has partial state of another stream (${toname ?? 'unknown'}), which is never discarded: ` +
      `finish that receive, or zfs receive -A ${step.targetDataset}`,
    { dataset: step.targetDataset },
  );
}

/** Does the rest of a stream fit the step? It has the flags of its token. Raw and plain do not mix, nor large blocks if the chain has none. */
const flagsFit = ({ flags = [] }: Step, { flags: initial }: TokenContents): boolean =>
  initial.raw === flags.includes('raw') && (initial.raw || !initial.largeBlock || flags.includes('large-block'));

/** A token of the peer's offset and flags, and the plan's own names and guids: the peer's are not trusted. */
const tokenFor = ({ to, from }: Step, { object, offset, bytes, flags }: TokenContents): string =>
  encodeToken({
    ...{ toname: to.name, toguid: to.guid, object, offset, bytes, flags },
    ...(from && { fromguid: from.guid }),
  });

const isGone = (error: unknown): boolean =>
  error instanceof ZpsendError && ['RESUME_STALE', 'NO_SUCH_SNAPSHOT', 'NO_SUCH_DATASET'].includes(error.code);

/**
 * Does the receiver's partial state continue this step? A token of other guids, of a destroyed snapshot, or of a stream with
 * other flags does not. `zfs send -t` gets a token that is made here.
 * @throws ZpsendError EXISTS when it is of another dataset, or its token cannot be read
 */
export async function resumeOf(zfs: Pick<Zfs, 'estimate'>, step: Step, given: string | undefined): Promise<Resume> {
  if (given === undefined) return { stale: false, offset: 0 };
  const contents = peekToken(given);
  const isOfStep = contents?.toguid === step.to.guid && (contents.fromguid ?? '0') === (step.from?.guid ?? '0');
  if (contents && isOfStep && flagsFit(step, contents)) {
    const token = tokenFor(step, contents);
    const isUsable = await zfs.estimate({ token }).then(
      () => true,
      (error) => {
        if (isGone(error)) return false;
        throw error;
      },
    );
    if (isUsable) return { token, stale: false, offset: Math.min(Number(contents.bytes), Number.MAX_SAFE_INTEGER) };
  }
  checkOwn(step, contents?.toname);
  return { stale: true, offset: 0 };
}
