import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { parse } from 'yaml';
import { z } from 'zod';
import { hostSchema } from '../schemas/names.ts';
import { usage } from './exit.ts';

/** The rest of the file is for the services, which check all of it. */
const fileSchema = z.looseObject({ host: hostSchema.optional() });

/**
 * This host's name on the bus, as its services have it: ZPSEND_HOST, `host:` in the configuration file (ZPSEND_CONFIG,
 * else /etc/zpsend.yaml where it exists), or the OS host name with its dots turned to dashes.
 * @throws ZpsendError BAD_REQUEST when it is not one subject token, or a named file cannot be used
 */
export function thisHost(env: NodeJS.ProcessEnv): string {
  const name = env.ZPSEND_HOST || hostInFile(env) || hostname().replaceAll('.', '-');
  const host = hostSchema.safeParse(name);
  if (host.success) return host.data;
  throw usage(`this host's name "${name}" cannot be used on the bus (letters, digits, "_", "-"): set ZPSEND_HOST`);
}

function hostInFile(env: NodeJS.ProcessEnv): string | undefined {
  const path = env.ZPSEND_CONFIG || '/etc/zpsend.yaml';
  try {
    return fileSchema.parse(parse(readFileSync(path, 'utf8')) ?? {}).host;
  } catch (error) {
    const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    if (missing && !env.ZPSEND_CONFIG) return undefined;
    const reason = error instanceof z.ZodError ? `host: ${error.issues[0]?.message}` : String(error);
    throw usage(`${path} cannot be used: ${reason}`);
  }
}
