import { expect } from 'vitest';
import {
  type Authentication,
  authenticationOfSource,
  checkText,
  newSecret,
} from '../../lib/bus/channel/direct/authentic.ts';
import { controlFrame, headerBytes, writeHeader } from '../../lib/bus/channel/direct/frame.ts';
import { openLocks } from '../../lib/bus/locks/locks.ts';
import { subjects } from '../../lib/bus/subjects.ts';
import { protocol } from '../../schemas/protocol.ts';
import {
  type CreditFinal,
  creditMessageSchema,
  type ReceiveStart,
  receiveReadySchema,
} from '../../schemas/transfer.ts';
import type { Fleet } from './fleet.ts';

/** A frame with bytes of the stream. */
export function data(offset: number, body: Buffer): Buffer {
  const head = Buffer.alloc(headerBytes);
  writeHeader(head, 0, 'data', offset);
  return Buffer.concat([head, body]);
}

/** A transfer whose sender, smos-01, is the test itself. */
export interface ScriptedTransfer {
  /** Publishes on the transfer's own subject, words with their authenticator. */
  publish(...frames: Buffer[]): void;
  /** The control messages of both ends. */
  readonly words: Authentication;
  readonly subject: string;
  /** The receiver's final word. */
  readonly final: Promise<CreditFinal>;
}

type ScriptedStart = Pick<
  ReceiveStart,
  'targetDataset' | 'to' | 'parents' | 'from' | 'origin' | 'before' | 'compression'
>;

let transfers = 0;

/** Starts a receive on smos-00 as a sender would; resolves when the receiver listens for its data. */
export async function begin(fleet: Fleet, what: ScriptedStart): Promise<ScriptedTransfer> {
  transfers += 1;
  const transfer = `scripted${transfers}`;
  const credit = Promise.withResolvers<void>();
  const final = Promise.withResolvers<CreditFinal>();
  const secret = newSecret();
  const start = { protocol, transfer, secret, job: 'jobjobjob1', sourceHost: 'smos-01', partial: 'resume', ...what };
  const ready = await fleet.ask(subjects.receive('smos-00', 'start'), start, receiveReadySchema);
  const words = authenticationOfSource(
    { source: 'smos-01', target: 'smos-00', transfer },
    { source: secret, target: ready.secret },
  );
  fleet.bus.nc.subscribe(subjects.credit('smos-01', transfer, 'smos-00'), {
    callback: (error, message) => {
      const text = error ? undefined : checkText(words.peer, message.string());
      if (text === undefined) return;
      const word = creditMessageSchema.parse(JSON.parse(text));
      if (word.type === 'credit') credit.resolve();
      else final.resolve(word);
    },
  });
  const subject = subjects.data('smos-01', 'smos-00', transfer);
  const publish = (...frames: Buffer[]): void => {
    for (const frame of frames) fleet.bus.nc.publish(subject, frame[0] === 0 ? frame : words.own.tag(frame));
  };
  publish(controlFrame('ping', 0));
  await credit.promise;
  return { publish, words, subject, final: final.promise };
}

export async function expectUnlocked(fleet: Fleet): Promise<void> {
  const locks = await openLocks(fleet.bus, 4);
  await expect.poll(() => locks.list(), { timeout: 30_000 }).toEqual([]);
}
