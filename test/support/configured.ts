import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

/** The environment that names a configuration file with this text; gone with the test. */
export function configured(yaml: string): { ZPSEND_CONFIG: string } {
  const folder = mkdtempSync(join(tmpdir(), 'zpsend-config-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'zpsend.yaml');
  writeFileSync(file, yaml);
  return { ZPSEND_CONFIG: file };
}
