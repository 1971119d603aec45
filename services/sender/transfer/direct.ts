import { newSecret, taggerOfRequest, wordsOfSource } from '../../../lib/bus/channel/direct/authentic.ts';
import { abortUnheard, type DirectSender, openDirectSender } from '../../../lib/bus/channel/direct/sender.ts';
import type { DataConnection } from '../../../lib/bus/data-connection/connection.ts';
import type { Peer } from '../../../lib/bus/rpc/machine-header.ts';
import { request } from '../../../lib/bus/rpc/request.ts';
import { subjects } from '../../../lib/bus/subjects.ts';
import { offerOf } from '../../../lib/compression/choice.ts';
import { timing } from '../../../lib/time/timing.ts';
import { encodeToken, peekToken, type TokenContents } from '../../../lib/zfs/resume-token.ts';
import type { Zfs } from '../../../lib/zfs/zfs.ts';
import { ZpsendError } from '../../../schemas/errors.ts';
import { datasetOf } from '../../../schemas/names.ts';
import type { Step } from '../../../schemas/plan.ts';
import { protocol } from '../../../schemas/protocol.ts';
import { type ReceiveReady, receiveReadySchema } from '../../../schemas/transfer.ts';
import { forgedWord } from '../../host/rejected-message.ts';
import { explainAbsence } from './absent-receiver.ts';
import type { Participant } from './fan-out/session.ts';
import { startOf } from './receive-request.ts';
import { type Resume, runnable, type Transfer, type TransferDeps, type TransferPlan } from './transfer.ts';

/** Partial state that is not of this dataset is somebody else's work, and not ours to drop (I5). */
function checkOwn(step: Step, toname: string | undefined): void {
  if (toname !== undefined && datasetOf(toname) === datasetOf(step.to.name)) return;
  throw new ZpsendError(
    'EXISTS',
    `${step.targetDataset} holds partial state of another stream (${toname ?? 'unknown'}), which is not dropped unasked: ` +
      `finish that, or zfs receive -A ${step.targetDataset}`,
    { dataset: step.targetDataset },
  );
}

/** A token carries the flags of its stream, and the rest of it comes with the same: raw and plain do not mix, nor large blocks where the chain has none. */
const mixes = ({ flags = [] }: Step, { flags: begun }: TokenContents): boolean =>
  begun.raw === flags.includes('raw') && (begun.raw || !begun.largeBlock || flags.includes('large-block'));

/** What of a peer's token is believed: how far it came, and what the plan says too. The step names its snapshot. */
const tokenFor = ({ to, from }: Step, { object, offset, bytes, flags }: TokenContents): string =>
  encodeToken({
    ...{ toname: to.name, toguid: to.guid, object, offset, bytes, flags },
    ...(from && { fromguid: from.guid }),
  });

const isGone = (error: unknown): boolean =>
  error instanceof ZpsendError && ['RESUME_STALE', 'NO_SUCH_SNAPSHOT', 'NO_SUCH_DATASET'].includes(error.code);

/**
 * Does the receiver's partial state continue this very step? A token of other guids, of a snapshot that is gone, or of a stream
 * that does not mix with this step's does not. What `zfs send -t` gets is a token made here.
 * @throws ZpsendError EXISTS when it is of another dataset
 */
export async function resumeOf(zfs: Pick<Zfs, 'estimate'>, step: Step, given: string | undefined): Promise<Resume> {
  if (given === undefined) return { stale: false, offset: 0 };
  const contents = peekToken(given);
  const isOfStep = contents?.toguid === step.to.guid && (contents.fromguid ?? '0') === (step.from?.guid ?? '0');
  if (contents && isOfStep && mixes(step, contents)) {
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

/**
 * Asks the receiver to start, and settles what is to be sent.
 * @param peer the target's machine, as its listing told it
 * @throws ZpsendError what the receiver refused with, or UNREACHABLE, TIMEOUT
 */
export async function askForTransfer(deps: TransferDeps, plan: TransferPlan, peer: Peer): Promise<Transfer> {
  const { zfs, host } = deps;
  const { step, transfer, targetHost } = plan;
  // what drops partial state looks at it first, and for that nobody waits
  if (plan.discard) plan.participant?.decline();
  if (isUnreached(deps.dataConnection, targetHost)) plan.participant?.decline();
  const participant = plan.discard || isUnreached(deps.dataConnection, targetHost) ? undefined : plan.participant;
  const secret = newSecret();
  const name = { source: host, target: targetHost, transfer };
  const dataSubject = subjects.data(host, targetHost, transfer);
  const body = {
    protocol,
    secret,
    ...startOf({ transfer, job: plan.job, source: host, properties: deps.properties }, step),
    ...(step.before && { before: step.before }),
    partial: plan.discard ? 'discard' : 'resume',
  };
  const subject = subjects.receiveFrom(targetHost, host);
  const start = (more: object = {}): Promise<ReceiveReady> => {
    const ask = () => request(deps.bus, subject, { ...body, ...more }, receiveReadySchema, undefined, peer);
    return ask().catch(async (error) => {
      // the answer may have been lost: the same transfer asked for again gets the same answer
      if (error instanceof ZpsendError && error.code === 'TIMEOUT') return ask();
      throw await explainAbsence(deps.bus, targetHost, subject, error);
    });
  };
  try {
    const offer = offerOf(deps.compression?.mode ?? 'none', step.flags);
    const extras = { ...(offer && { compression: offer }), ...(participant && { shared: participant.id }) };
    const ready = await (Object.keys(extras).length > 0 ? offered(start, extras) : start());
    const direct = openDirectSender(deps.dataConnection, {
      dataSubject,
      creditSubject: subjects.credit(host, transfer, targetHost),
      words: wordsOfSource(name, { source: secret, target: ready.secret }),
      onForged: () => deps.log.warn(...forgedWord(transfer, targetHost)),
      window: ready.window,
      silenceMs: deps.silenceMs,
      patienceMs: Math.max(deps.patienceMs, timing.direct.leastPatienceMs),
      rateLimit: deps.rateLimit,
    });
    try {
      const resume = await resumeOf(zfs, step, ready.resumeToken);
      // what our first frame drops was looked at again, since another source may have left it there since
      const rest = plan.discard ? { stale: false, offset: 0 } : resume;
      const shared =
        ready.shared === true && participant && (await hears(deps, direct, targetHost, participant))
          ? participant
          : undefined;
      if (!shared) participant?.decline();
      return runnable(deps, plan, {
        channel: direct,
        resume: rest,
        participant: shared,
        mode: (offer && ready.compression && deps.compression?.mode) ?? 'none',
      });
    } catch (error) {
      direct.abort(ZpsendError.from(error).toBody());
      direct.close();
      throw error;
    }
  } catch (error) {
    // before the others begin: it may listen, and its answer be lost
    if (participant) {
      const to = { subject: dataSubject, tagger: taggerOfRequest(name, secret) };
      abortUnheard(deps.dataConnection, to, ZpsendError.from(error).toBody());
    }
    participant?.decline();
    throw error;
  }
}

/** Targets that did not hear a shared subject, of each connection: when they were last asked, in monotonic milliseconds. */
const unreached = new WeakMap<DataConnection, Map<string, number>>();

const isUnreached = (dataConnection: DataConnection, target: string): boolean =>
  performance.now() - (unreached.get(dataConnection)?.get(target) ?? Number.NEGATIVE_INFINITY) <
  timing.direct.unsharedMs;

/** Does the target hear what is shared? The NATS server may not let it, or bring it nothing, and then it reads alone. */
async function hears(
  { dataConnection, host, log }: TransferDeps,
  direct: DirectSender,
  target: string,
  { id }: Pick<Participant, 'id'>,
): Promise<boolean> {
  const reach = await direct.reaches(subjects.shared(host, id));
  if (reach === 'unreached') {
    unreached.set(dataConnection, new Map(unreached.get(dataConnection)).set(target, performance.now()));
    log.info(
      'fan-out.not-heard',
      `${target} does not hear what ${host} sends to several, so it has a read of its own (zpsend deploy permissions ${target} --from ${host})`,
      { target },
    );
  }
  return reach === 'heard';
}

/** A receiver that does not know what is offered takes it for a bad request; whatever else is bad, it says again. */
const offered = (start: (more?: object) => Promise<ReceiveReady>, extras: object): Promise<ReceiveReady> =>
  start(extras).catch((error) => {
    if (error instanceof ZpsendError && error.code === 'BAD_REQUEST') return start();
    throw error;
  });
