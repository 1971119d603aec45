import { configSchema } from '../../schemas/config.ts';
import { variableOfKey } from '../../schemas/environment.ts';
import { keyPaths, type Path } from '../../schemas/schema-keys.ts';
import { type FileValue, settingsOf } from './settings.ts';

/** One effective value. */
export interface SettingRow {
  /** `send.parallel` */
  readonly key: string;
  /** Undefined if nothing sets it. */
  readonly value: unknown;
  /** `default`, `file /etc/zpsend.yaml`, or the name of a variable. */
  readonly source: string;
}

const valueAt = (value: unknown, path: Path): unknown =>
  path.reduce<unknown>(
    (outer, key) => (typeof outer === 'object' && outer !== null ? Reflect.get(outer, key) : undefined),
    value,
  );

const isBelow = (path: Path, above: Path): boolean =>
  path.length > above.length && above.every((key, at) => path[at] === key);

/** The paths of single values, and of whole lists and records. The section `nats` has secrets, and other sources. */
function valuePaths(): Path[] {
  const paths = keyPaths(configSchema.omit({ nats: true })).filter((path) => !path.includes(0));
  return paths.filter((path) => !paths.some((other) => isBelow(other, path)));
}

/**
 * The effective value of each key but those of `nats`, with its source.
 * @throws ZpsendError BAD_REQUEST as loadSettings
 */
export function settingRows(file: FileValue | undefined, env: NodeJS.ProcessEnv): SettingRow[] {
  const { host, config } = settingsOf(file, env);
  const effective = { ...config, host };
  return valuePaths().map((path) => {
    const key = path.join('.');
    return { key, value: valueAt(effective, path), source: sourceOf(path, file, env) };
  });
}

function sourceOf(path: Path, file: FileValue | undefined, env: NodeJS.ProcessEnv): string {
  const variable = variableOfKey.get(path.join('.'));
  if (variable !== undefined) {
    // an empty ZPSEND_ALLOW allows nothing; the others count as absent
    if (variable === 'ZPSEND_ALLOW' ? env[variable] !== undefined : env[variable]) return variable;
  }
  return file && valueAt(file.value, path) !== undefined ? `file ${file.path}` : 'default';
}
