import { Readable, Writable } from 'node:stream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { onTestFinished } from 'vitest';
import {
  authenticationOfSource,
  authenticationOfTarget,
  newSecret,
  type TransferSecrets,
} from '../../lib/bus/channel/direct/authentic.ts';
import { broadcast } from '../../lib/bus/channel/direct/broadcast.ts';
import { type DirectReceiver, openDirectReceiver } from '../../lib/bus/channel/direct/receiver.ts';
import { type DirectSender, openDirectSender } from '../../lib/bus/channel/direct/sender.ts';
import { type DataConnection, openDataConnection } from '../../lib/bus/data-connection/connection.ts';
import type { ErrorBody } from '../../schemas/errors.ts';

/** Both ends of a direct channel, and a third party that forges. */

export const window = 64 * 1024;
export const silenceMs = 1500;
export const patienceMs = 60_000;
export const noSpace: ErrorBody = { code: 'NO_SPACE', message: 'forged', retryable: false };
/** A stream of several windows. */
export const stream = Buffer.alloc(5 * window, 'zfs');

export interface Ends {
  readonly transfer: string;
  readonly secrets: TransferSecrets;
  readonly dataSubject: string;
  readonly creditSubject: string;
}

let transfers = 0;
export function ends(target = 'b'): Ends {
  transfers += 1;
  const transfer = `transfer${transfers}`;
  return {
    transfer,
    secrets: { source: newSecret(), target: newSecret() },
    dataSubject: `zfs-data.a.${target}.${transfer}`,
    creditSubject: `zfs-credit.a.${transfer}.${target}`,
  };
}
export const nameOf = ({ transfer }: Ends) => ({ source: 'a', target: 'b', transfer });

export async function useDataConnection(url: string): Promise<DataConnection> {
  const connection = await openDataConnection({ servers: url, reconnectTimeWait: 50 });
  onTestFinished(() => connection.close());
  return connection;
}

/** A client of the same account, which knows all of a transfer but its secrets. */
export interface ThirdParty {
  readonly nc: NatsConnection;
  /** Publishes, and resolves when the server has it. */
  publish(subject: string, ...messages: (Buffer | string)[]): Promise<void>;
  /** All messages on a subject, in order. */
  record(subject: string): Promise<Buffer[]>;
}

export async function useThirdParty(url: string): Promise<ThirdParty> {
  const nc = await connect({ servers: url });
  onTestFinished(() => nc.close());
  return {
    nc,
    async publish(subject, ...messages) {
      for (const message of messages) nc.publish(subject, message);
      await nc.flush();
    },
    async record(subject) {
      const recorded: Buffer[] = [];
      nc.subscribe(subject, { callback: (_, message) => void recorded.push(Buffer.from(message.data)) });
      await nc.flush();
      return recorded;
    },
  };
}

export interface DirectTarget {
  readonly direct: DirectReceiver;
  /** What reached `zfs receive`. */
  readonly taken: Buffer[];
  began: number;
  broken: ErrorBody | undefined;
  forged: number;
  /** Lets `zfs receive` take the stream. */
  readonly go: () => void;
}

/** @param isStopped `zfs receive` takes nothing before `go` */
export async function useTarget(
  url: string,
  of: Ends,
  isStopped = false,
  sharedSubject?: string,
): Promise<DirectTarget> {
  const taken: Buffer[] = [];
  const gate = Promise.withResolvers<void>();
  if (!isStopped) gate.resolve();
  const sink = new Writable({
    write(chunk: Buffer, _encoding, callback) {
      taken.push(Buffer.from(chunk));
      void gate.promise.then(() => callback());
    },
  });
  const connection = await useDataConnection(url);
  const direct = openDirectReceiver(connection, {
    ...of,
    ...{ sharedSubject, window, silenceMs, authentication: authenticationOfTarget(nameOf(of), of.secrets) },
    onForged() {
      end.forged += 1;
    },
    onFirstFrame() {
      end.began += 1;
      direct.attach(sink);
    },
    onEnd() {
      sink.once('finish', () => direct.done({ guid: '42' }));
      direct.finishInput();
    },
    onBroken(error) {
      end.broken = error;
      direct.failed(error);
    },
  });
  onTestFinished(() => direct.close());
  const end: DirectTarget = { direct, taken, began: 0, broken: undefined, forged: 0, go: gate.resolve };
  await connection.nc.flush();
  return end;
}

export interface DirectSource {
  readonly direct: DirectSender;
  forged: number;
  /** Sends the whole stream and its end. */
  send(): Promise<void>;
}

export async function useSource(url: string, of: Ends): Promise<DirectSource> {
  const from = await useDataConnection(url);
  const direct = openDirectSender(from, {
    ...of,
    ...{ window, silenceMs, patienceMs, authentication: authenticationOfSource(nameOf(of), of.secrets) },
    onForged() {
      end.forged += 1;
    },
  });
  onTestFinished(() => direct.close());
  const end: DirectSource = {
    direct,
    forged: 0,
    async send() {
      await broadcast(
        from,
        { subject: of.dataSubject, subscribers: [direct] },
        Readable.from([stream], { objectMode: false }),
      );
      direct.end();
    },
  };
  await from.nc.flush();
  return end;
}
