import { createHmac } from 'node:crypto';

/** Of zpsend alone: no other program derives the same from a machine id. */
const application = '0c1d3f0a6b7e4f5d9e8a2b4c6d8f1a3e';

/**
 * A machine's own id as it may leave the machine: the keyed hash that machine-id(5) asks for, HMAC-SHA256 of a fixed application id,
 * keyed with the machine id, 128 bits of it (sd_id128_get_machine_app_specific(3) does the same with the id in binary).
 */
export const derive = (own: string): string =>
  createHmac('sha256', own).update(Buffer.from(application, 'hex')).digest('hex').slice(0, 32);

/** What an id file or command holds where no id was ever made. */
const placeholders = /^(uninitialized|unknown|not specified|none|[0-]*|[f-]*|\0*)$/i;

/** The id in the text of a file or the output of a command; undefined where it holds none. */
export function idIn(text: string): string | undefined {
  const id = text.trim();
  return placeholders.test(id) ? undefined : id;
}

/** The UUID in the facts that SmartOS keeps of itself (sysinfo(8)); undefined where there is none. */
export function smartosIdIn(text: string): string | undefined {
  try {
    const facts: unknown = JSON.parse(text);
    const isObject = typeof facts === 'object' && facts !== null;
    return isObject && 'UUID' in facts && typeof facts.UUID === 'string' ? idIn(facts.UUID) : undefined;
  } catch {
    return undefined;
  }
}
