import { readFileSync } from 'node:fs';
import { z } from 'zod';

const packageSchema = z.object({ name: z.literal('zpsend'), version: z.string() });

/** The package's version; package.json stands one folder up from the sources, and two from what was compiled. */
export function version(): string {
  for (const up of ['../package.json', '../../package.json']) {
    try {
      return packageSchema.parse(JSON.parse(readFileSync(new URL(up, import.meta.url), 'utf8'))).version;
    } catch {
      // the other place
    }
  }
  return 'unknown';
}
