import { errorBodySchema, ZpsendError } from '../../../../schemas/errors.ts';
import type { Violation } from './flow-control.ts';
import { type FrameHeader, headerBytes, readHeader } from './frame.ts';
import { fail, grant, type Receiving } from './receiving.ts';

const violations: Record<Violation, string> = {
  gap: 'a part of the stream is missing',
  'beyond-credit': 'the sender sent more than it was granted',
  'after-end': 'the sender sent more after the end',
  'total-mismatch': 'the stream ended, but not all of it arrived',
  malformed: 'a frame cannot be read',
};

/**
 * What a receiver does with data frames and control messages.
 * @param heard called at each frame that counts
 */
export function handleFrames(receiving: Receiving, heard: () => void) {
  const { window, options } = receiving;

  const positionOf = (frame: FrameHeader | undefined): string =>
    `${frame ? `${frame.type} at byte ${frame.offset}` : 'no header'}, ${window.received} received, ${window.granted} granted, ${options.dataSubject}`;

  function isAccepted(frame: FrameHeader | undefined, length: number): frame is FrameHeader {
    const violation = frame ? window.accept(frame, length) : 'malformed';
    if (violation === undefined) return true;
    const text = `${violations[violation]} (${positionOf(frame)})`;
    fail(receiving, new ZpsendError('STREAM_BROKEN', text, { reason: violation }));
    return false;
  }

  function streamFrame(isEnd: boolean): void {
    if (receiving.isFirst) options.onFirstFrame();
    receiving.isFirst = false;
    if (isEnd) options.onEnd(window.received);
  }

  function forged(): void {
    receiving.forged += 1;
    if (receiving.forged === 1) options.onForged?.();
  }

  return {
    /** The header of a data frame, or undefined for one that cannot be read; `length` is its body's, in bytes. */
    header(frame: FrameHeader | undefined, length: number): void {
      if (!isAccepted(frame, length)) return;
      heard();
      streamFrame(false);
    },
    /** A control message without its trailer; undefined for one that the sender did not tag. */
    message(checked: Buffer | undefined): void {
      const frame = checked && readHeader(checked);
      if (!checked || !frame) {
        forged();
        return;
      }
      receiving.isMet = true;
      heard();
      if (frame.type === 'abort') {
        fail(receiving, abortReason(checked.toString('utf8', headerBytes)));
        return;
      }
      const hadEnded = window.ended;
      if (!isAccepted(frame, checked.length - headerBytes)) return;
      if (frame.type === 'ping' || hadEnded) grant(receiving);
      else streamFrame(true);
    },
  };
}

/** The sender's reason, as far as its schema accepts it. */
function abortReason(text: string): ZpsendError {
  try {
    return ZpsendError.fromBody(errorBodySchema.parse(JSON.parse(text)));
  } catch {
    const text = 'the sender gave up, with a reason that cannot be read';
    return new ZpsendError('STREAM_BROKEN', text, { reason: 'unreadable' });
  }
}
