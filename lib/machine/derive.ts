import { createHmac } from 'node:crypto';

/** zpsend's application id: no other program derives the same hash from a machine id. */
const application = '0c1d3f0a6b7e4f5d9e8a2b4c6d8f1a3e';

/**
 * The hash of a machine id that may leave the machine, as machine-id(5) requires: 128 bits of HMAC-SHA256 of a fixed application id,
 * keyed with the machine id (sd_id128_get_machine_app_specific(3) does the same with the binary id).
 */
export const derive = (own: string): string =>
  createHmac('sha256', own).update(Buffer.from(application, 'hex')).digest('hex').slice(0, 32);

/** The content of an id file, or the output of a command, without an id. */
const placeholders = /^(uninitialized|unknown|not specified|none|[0-]*|[f-]*|\0*)$/i;

/** The id in the text of a file or the output of a command; undefined without one. */
export function idIn(text: string): string | undefined {
  const id = text.trim();
  return placeholders.test(id) ? undefined : id;
}

/** The UUID in the output of SmartOS's sysinfo(8); undefined without one. */
export function smartosIdIn(text: string): string | undefined {
  try {
    const facts: unknown = JSON.parse(text);
    const isObject = typeof facts === 'object' && facts !== null;
    return isObject && 'UUID' in facts && typeof facts.UUID === 'string' ? idIn(facts.UUID) : undefined;
  } catch {
    return undefined;
  }
}
