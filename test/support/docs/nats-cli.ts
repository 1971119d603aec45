import { access, constants } from 'node:fs/promises';
import { delimiter, join } from 'node:path';

/** The `nats` command on PATH; undefined without one. */
export async function findNatsCli(env: NodeJS.ProcessEnv = process.env): Promise<string | undefined> {
  for (const folder of (env.PATH ?? '').split(delimiter).filter((folder) => folder !== '')) {
    const path = join(folder, 'nats');
    if (
      await access(path, constants.X_OK).then(
        () => true,
        () => false,
      )
    )
      return path;
  }
  return undefined;
}
