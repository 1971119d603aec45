import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { type Inventory, inventoryFileSchema } from '../../schemas/inventory.ts';
import { usage } from '../exit-codes.ts';

const versionSchema = z.looseObject({ version: z.number() });

/**
 * Reads the listings of both sides from a file, to plan without NATS.
 * @throws ZpsendError BAD_REQUEST names the file and the path in it
 */
export function readInventories(path: string): { source: Inventory; target: Inventory } {
  const value = parse(path, read(path));
  const version = versionSchema.safeParse(value);
  if (version.success && version.data.version !== 1) {
    throw usage(`${path} has version ${version.data.version}, but this zpsend reads version 1`);
  }
  const file = inventoryFileSchema.safeParse(value);
  if (file.success) return file.data;
  const issue = file.error.issues[0];
  throw usage(
    `${path} is not an inventory file. ${where(issue?.path ?? [])}: ${issue?.message}. It must be ` +
      '{"version":1,"source":LISTING,"target":LISTING}, and zpsend snapshots --json prints a LISTING',
  );
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw usage(`cannot read ${path}: ${error instanceof Error ? error.message : error}`);
  }
}

function parse(path: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw usage(`${path} is not JSON, or incomplete: ${error instanceof Error ? error.message : error}`);
  }
}

/** `source.datasets[1].snapshots[0].guid` */
const where = (path: readonly PropertyKey[]): string =>
  path
    .map((key) => (typeof key === 'number' ? `[${key}]` : `.${String(key)}`))
    .join('')
    .replace(/^\./, '') || '(top)';
