import { readFileSync } from 'node:fs';
import { z } from 'zod';

/** package.json stands two folders up from the sources, and three from what was compiled. */
function readVersion(): string {
  for (const up of ['../../package.json', '../../../package.json']) {
    try {
      return z.object({ version: z.string() }).parse(JSON.parse(readFileSync(new URL(up, import.meta.url), 'utf8')))
        .version;
    } catch {
      // the other place
    }
  }
  return '0.0.0';
}

export const version: string = readVersion();
