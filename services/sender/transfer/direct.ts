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

/** Does the rest of a stream, which has its token's flags, fit the step? Raw and plain do not mix, nor large blocks if the chain has none. */
const mixes = ({ flags = [] }: Step, { flags: initial }: TokenContents): boolean =>
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
 * Asks the receiver to start, and settles the stream.
 * @param peer the target's machine, from its listing
 * @throws ZpsendError the receiver's refusal, or UNREACHABLE, TIMEOUT
 */
export async function askForTransfer(deps: TransferDeps, plan: TransferPlan, peer: Peer): Promise<Transfer> {
  const { zfs, host } = deps;
  const { step, transfer, targetHost } = plan;
  // a transfer that discards partial state inspects it first; the others do not wait for that
  if (plan.discard) plan.participant?.decline();
  if (isUnreached(deps, targetHost)) plan.participant?.decline();
  const participant = plan.discard || isUnreached(deps, targetHost) ? undefined : plan.participant;
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
      // the partial state that our first frame discards is checked again, since another source may have left it
      const rest = plan.discard ? { stale: false, offset: 0 } : resume;
      const shared =
        ready.shared === true && participant && (await receivesShared(deps, direct, targetHost, participant))
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
    // before the others begin: the receiver may listen, though its answer was lost
    if (participant) {
      const to = { subject: dataSubject, tagger: taggerOfRequest(name, secret) };
      abortUnheard(deps.dataConnection, to, ZpsendError.from(error).toBody());
    }
    participant?.decline();
    throw error;
  }
}

/** Targets that do not receive a shared subject, for each connection: when they were last probed, in monotonic ms. */
const unreached = new WeakMap<DataConnection, Map<string, number>>();

const isUnreached = ({ dataConnection, clock }: TransferDeps, target: string): boolean =>
  clock.now() - (unreached.get(dataConnection)?.get(target) ?? Number.NEGATIVE_INFINITY) < timing.direct.unsharedMs;

/** Does the target receive the shared subject? If the NATS server does not deliver it, the job reads alone. */
async function receivesShared(
  { dataConnection, host, log, clock }: TransferDeps,
  direct: DirectSender,
  target: string,
  { id }: Pick<Participant, 'id'>,
): Promise<boolean> {
  const reach = await direct.reaches(subjects.shared(host, id));
  if (reach === 'unreached') {
    unreached.set(dataConnection, new Map(unreached.get(dataConnection)).set(target, clock.now()));
    log.info(
      'fan-out.not-heard',
      `${target} does not receive the shared subject of ${host}, so its streams are read separately (zpsend deploy permissions ${target} --from ${host})`,
      { target },
    );
  }
  return reach === 'heard';
}

/** A receiver that does not know an offered option refuses the request as bad. Without options it reports any other fault again. */
const offered = (start: (more?: object) => Promise<ReceiveReady>, extras: object): Promise<ReceiveReady> =>
  start(extras).catch((error) => {
    if (error instanceof ZpsendError && error.code === 'BAD_REQUEST') return start();
    throw error;
  });
