import { authenticationOfSource, newSecret, taggerOfRequest } from '../../../lib/bus/channel/direct/authentic.ts';
import { abortUnheard, type DirectSender, openDirectSender } from '../../../lib/bus/channel/direct/sender.ts';
import type { DataConnection } from '../../../lib/bus/data-connection/connection.ts';
import type { Peer } from '../../../lib/bus/rpc/machine-header.ts';
import { request } from '../../../lib/bus/rpc/request.ts';
import { subjects } from '../../../lib/bus/subjects.ts';
import { offerOf } from '../../../lib/compression/choice.ts';
import { timing } from '../../../lib/time/timing.ts';
import { ZpsendError } from '../../../schemas/errors.ts';
import { protocol } from '../../../schemas/protocol.ts';
import { type ReceiveReady, receiveReadySchema } from '../../../schemas/transfer.ts';
import { forgedMessage } from '../../host/rejected-message.ts';
import { explainAbsence } from './absent-receiver.ts';
import type { Participant } from './fan-out/session.ts';
import { startOf } from './receive-request.ts';
import { resumeOf } from './resume.ts';
import { runnable, type Transfer, type TransferDeps, type TransferPlan } from './transfer.ts';

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
    ...startOf({ transfer, job: plan.job, sourceHost: host, properties: deps.properties }, step),
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
      authentication: authenticationOfSource(name, { source: secret, target: ready.secret }),
      onForged: () => deps.log.warn(...forgedMessage(transfer, targetHost)),
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
      'fan-out.not-received',
      `${target} does not receive the shared subject of ${host}, so its streams are read separately (zpsend deploy permissions ${target} --from ${host})`,
      { target },
    );
  }
  return reach === 'reached';
}

/** A receiver that does not know an offered option refuses the request as bad. Without options it reports any other fault again. */
const offered = (start: (more?: object) => Promise<ReceiveReady>, extras: object): Promise<ReceiveReady> =>
  start(extras).catch((error) => {
    if (error instanceof ZpsendError && error.code === 'BAD_REQUEST') return start();
    throw error;
  });
