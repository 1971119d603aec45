import type { Bus } from '../../lib/bus/connection/connect.ts';
import { answeringFor } from '../../lib/bus/hosts/answering.ts';
import { claimOf, type HostKey, isToWrite, refusalOf, rivalOf } from '../../lib/bus/hosts/claim.ts';
import { writeHost } from '../../lib/bus/hosts/registry.ts';
import { onBucketWrites } from '../../lib/bus/jetstream/watch-bucket.ts';
import { adoptedElsewhere } from '../../lib/bus/rpc/other-machine.ts';
import { hostsBucket } from '../../lib/bus/subjects.ts';
import { type OwnMachine, recordOf } from '../../lib/machine/machine.ts';
import { type Clock, systemClock } from '../../lib/time/clock.ts';
import { timing } from '../../lib/time/timing.ts';
import { ZpsendError } from '../../schemas/errors.ts';
import type { HostRecord } from '../../schemas/machine.ts';
import { coalesce } from './coalesce.ts';
import type { Log } from './log.ts';

export interface HostNameDeps {
  readonly host: string;
  readonly own: OwnMachine;
  readonly bus: Bus;
  readonly log: Log;
  readonly clock?: Clock;
}

/** A host name that this machine has. */
export interface HostName {
  /** Resolves when another machine has the name, with why this service has to stop. */
  readonly lost: Promise<ZpsendError>;
  /** Looks once for another machine that has started at the same moment. */
  lookAround(): void;
  release(): void;
}

const isOther = (error: ZpsendError): boolean => error.code === 'OTHER_MACHINE';

/**
 * Takes the host name for this machine, in the bucket `zfs-hosts`, and keeps it. Where there is no bucket, machines of one name are
 * noticed only while they answer.
 * @throws ZpsendError OTHER_MACHINE when the name is another machine's
 */
export async function takeHostName({ host, own, bus, log, clock = systemClock }: HostNameDeps): Promise<HostName> {
  const { machine } = own;
  const lost = Promise.withResolvers<ZpsendError>();
  let mayMake = true;
  let complaint: string | undefined;
  /** The record was this machine's when it was looked at last. */
  let hasIt = false;

  async function rival(ms: number): Promise<ZpsendError | undefined> {
    const answering = await answeringFor(bus, host, ms);
    return rivalOf(
      host,
      machine,
      answering.map((instance) => instance.machine),
    );
  }

  /** @param refuse the error if the record is another machine's */
  async function register(refuse: (record: HostRecord, why: ZpsendError) => ZpsendError): Promise<void> {
    const decide = (before: HostKey): HostRecord | undefined => {
      if (isToWrite(before, machine, hasIt)) return recordOf(own);
      const refusal = refusalOf(host, machine, before);
      if (refusal) throw typeof before === 'object' ? refuse(before, refusal) : refusal;
      return undefined;
    };
    try {
      const record = await writeHost(bus, host, decide, mayMake);
      hasIt = claimOf(record, machine) === 'own';
      if (complaint !== undefined && record)
        log.info('host.registered', `the host name ${host} is registered for this machine now`);
      complaint = undefined;
    } catch (thrown) {
      const error = ZpsendError.from(thrown);
      if (isOther(error)) throw error;
      // an administrator makes it, and the server writes each attempt of ours into its log
      if (error.reason === 'bucket-denied') mayMake = false;
      if (complaint === undefined) log.warn('host.unregistered', `${error.message}; ${unregistered(host)}`);
      complaint = error.message;
    }
  }

  const loses = (error: unknown): void => lost.resolve(ZpsendError.from(error));
  const checkAgain = coalesce(() => register((record) => adoptedElsewhere(host, machine, record)).catch(loses));
  const check = (): void => void checkAgain();

  const before = await rival(timing.service.sameNameBeforeMs);
  if (before) throw before;
  const ends = [
    onBucketWrites(bus, hostsBucket, host, check),
    bus.onReconnected(check),
    clock.every(timing.service.hostRecordMs, check),
  ];
  await register((_record, why) => why);
  if (machine.id === undefined) log.warn('host.no-machine-id', withoutOwnId);
  return {
    lost: lost.promise,
    lookAround: () => void rival(timing.service.sameNameAfterMs).then((error) => error && loses(error), loses),
    release: () => {
      for (const end of ends) end();
    },
  };
}

const unregistered = (host: string): string =>
  `until it can, another machine of the name ${host} is noticed only while both answer`;

const withoutOwnId =
  'this machine has no id (/etc/machine-id), so another one of its host name is noticed only while both answer: ' +
  'set machineId: in the configuration file to a text that no other machine has';
