import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { commandPages } from './command-pages.ts';
import { configPage } from './config-page.ts';

/** All manual pages, by their files in a manual folder. */
export const manualPages = (): Record<string, string> => ({ ...commandPages(), 'man5/zpsend.yaml.5': configPage() });

if (import.meta.main) {
  const [folder] = process.argv.slice(2);
  if (folder === undefined) throw new Error('usage: node tools/man/main.ts FOLDER');
  for (const [name, text] of Object.entries(manualPages())) {
    const path = join(folder, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  }
}
