import type { Readable } from 'node:stream';

/** Memory to read into, and who takes what was read. */
export interface SourceReader {
  /** Where the next bytes go. Asked again before every read. */
  room(): Buffer;
  /** `length` bytes were read to the beginning of the last room. False when reading should stop until `proceed`. */
  filled(length: number): boolean;
  /** The stream came to its end. */
  ended(): void;
  /** It broke off; nothing more comes. */
  failed(reason: string): void;
}

/** A stream of bytes that is read into memory of the reader's, as the output of `lib/zfs/pipe.ts` is. */
export interface ByteSource {
  /** Begins to read; called once. */
  readInto(reader: SourceReader): void;
  /** After a `filled` that asked to stop. */
  proceed(): void;
}

/** Any stream of Node's as a source, at the price of a copy; one that is a source already is taken as it is. */
export function sourceOf(stream: Readable | ByteSource): ByteSource {
  return 'readInto' in stream ? stream : copying(stream);
}

function copying(stream: Readable): ByteSource {
  let rest: Buffer = Buffer.alloc(0);
  let ended = false;
  // a stream that is paused may flow all the same: when a process exits, Node resumes its output
  let stopped = false;
  let reader: SourceReader | undefined;

  /** Hands on what is left of the last chunk, then lets more come. */
  function advance(): void {
    if (!reader) return;
    stopped = false;
    while (rest.length > 0) {
      const length = rest.copy(reader.room());
      rest = rest.subarray(length);
      if (!reader.filled(length)) {
        stopped = true;
        stream.pause();
        return;
      }
    }
    if (ended) reader.ended();
    else stream.resume();
  }

  return {
    readInto(to) {
      reader = to;
      stream.on('data', (chunk: Buffer) => {
        rest = rest.length > 0 ? Buffer.concat([rest, chunk]) : chunk;
        if (stopped) stream.pause();
        else advance();
      });
      stream.once('end', () => {
        ended = true;
        if (rest.length === 0) to.ended();
      });
      stream.once('error', (error) => to.failed(error.message));
      stream.once('close', () => {
        if (!ended) to.failed('it was closed before its end');
      });
      if (stream.readableEnded) to.ended();
      else if (stream.destroyed) to.failed('it is closed');
      else advance();
    },
    proceed: advance,
  };
}
