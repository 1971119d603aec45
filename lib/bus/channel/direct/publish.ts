import { headerBytes, writeHeader } from './frame.ts';

/**
 * Bytes of the stream in one message. Small messages mostly pass whole through the 64 KiB reads of nats-server, which
 * copies those once more that do not: measured at its CPU time per GB, 8 and 16 KiB are best, 60 KiB is worst.
 */
export const chunkBytes = 16 * 1024;

const crlf = '\r\n';
const crlfBytes = Buffer.from(crlf);

/** One message as it goes over the wire: `PUB <subject> <size>`. */
export function publication(subject: string, payload: Buffer): Buffer[] {
  return [Buffer.from(`PUB ${subject} ${payload.length}${crlf}`, 'latin1'), payload, crlfBytes];
}

/**
 * The bytes of a stream as data frames in NATS messages, ready for one gathering write; the payloads are not copied.
 * @param offset of the first byte in the stream
 * @param maxPayload what the connection takes in one message, in bytes
 */
export function dataPublications(
  subject: string,
  offset: number,
  bytes: Buffer,
  maxPayload = chunkBytes + headerBytes,
): Buffer[] {
  const most = Math.min(chunkBytes, Math.max(1, maxPayload - headerBytes));
  const parts: Buffer[] = [];
  let before = '';
  for (let at = 0; at < bytes.length; at += most) {
    const end = Math.min(at + most, bytes.length);
    const line = `${before}PUB ${subject} ${end - at + headerBytes}${crlf}`;
    const head = Buffer.allocUnsafe(line.length + headerBytes);
    head.write(line, 'latin1');
    writeHeader(head, line.length, 'data', offset + at);
    parts.push(head, bytes.subarray(at, end));
    before = crlf;
  }
  if (parts.length > 0) parts.push(crlfBytes);
  return parts;
}
