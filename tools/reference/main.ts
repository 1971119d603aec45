import { readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { commandLinePage } from './command-line.ts';
import { packagedConfig } from './config-yaml.ts';
import { configurationPage } from './configuration.ts';
import { environmentPage } from './environment.ts';
import { errorsPage } from './errors.ts';
import { eventsPage } from './events.ts';
import { exitCodesPage } from './exit-codes.ts';

const root = resolve(import.meta.dirname, '../..');

/** The generated files of this repository. */
export const pages: Readonly<Record<string, () => string>> = {
  'docs/reference/command-line.md': commandLinePage,
  'docs/reference/configuration.md': configurationPage,
  'docs/reference/environment.md': environmentPage,
  'docs/reference/errors.md': errorsPage,
  'docs/reference/events.md': eventsPage,
  'docs/reference/exit-codes.md': exitCodesPage,
  'deploy/zpsend.yaml': packagedConfig,
};

function currentText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

if (import.meta.main) {
  for (const [name, page] of Object.entries(pages)) {
    const path = resolve(root, name);
    const text = page();
    if (currentText(path) === text) continue;
    if (process.argv.includes('--write')) writeFileSync(path, text);
    else {
      console.error(`${name} differs from what the code says: run npm run reference -- --write`);
      process.exitCode = 1;
    }
  }
}
