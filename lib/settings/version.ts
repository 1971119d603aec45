import { readFileSync } from 'node:fs';
import { z } from 'zod';

/** package.json is two folders above the sources, and three above the bundle. */
function readVersion(): string {
  for (const up of ['../../package.json', '../../../package.json']) {
    try {
      return z.object({ version: z.string() }).parse(JSON.parse(readFileSync(new URL(up, import.meta.url), 'utf8')))
        .version;
    } catch {
      // try the next path
    }
  }
  return '0.0.0';
}

export const version: string = readVersion();
