import { configPaths } from '../../lib/settings/config-file.ts';
import { type ConfigKey, configKeys } from './config-keys.ts';
import { configYaml } from './config-yaml.ts';
import { code, madeFrom, tableOf } from './markdown.ts';

/** Of `nats`, the example sets one server and one identity; the others exclude them. */
const natsInExample = ['nats.url', 'nats.nkey', 'nats.ca', 'nats.inboxPrefix'];

/** A configuration that sets every key, but only one NATS server and identity. */
export const exampleConfig = (): string =>
  configYaml('# /etc/zpsend.yaml', (path) => !path.startsWith('nats.') || natsInExample.includes(path));

const introduction = `# Configuration file

The configuration of a host is one YAML file: ${configPaths.map(code).join(' or ')}. \`ZPSEND_CONFIG\` names another one.
Every key is optional. A key that zpsend does not know is an error. Without a file, every key has its default.
[Environment variables](environment.md) replace keys of the file.
\`zpsend config check FILE\` checks a file before a service reads it.

${madeFrom('schemas/config.ts', 'schemas/policy.ts', 'schemas/request.ts', 'schemas/nats.ts')}
## Example

Each value is the default of its key, or an example. [deploy/zpsend.yaml](../../deploy/zpsend.yaml) is the same file with all settings in comments.
`;

/** The forms of values with a unit, and of patterns. */
export const unitRows: readonly (readonly [string, string])[] = [
  ['bytes', 'a number, or `500M`, `16G`, `1T` in powers of 1024, as in zfs(8)'],
  [
    'bytes per second',
    'a number, or `500K`, `10M`, `10MiB/s` in powers of 1024; `100Mbit` in powers of 1000, as for networks',
  ],
  ['seconds, minutes, hours', 'a number in that unit, or `90s`, `2m`, `1h30m`, `7d`'],
  ['name pattern', '`*` and `?` match within one element of a name, `**` across elements'],
];

const anchor = (path: string): string => `#${path.toLowerCase().replaceAll(/[^a-z0-9]/g, '')}`;

function rowOf({ name, path, type, default: initial, description, isRequired, variable, inner }: ConfigKey): string[] {
  const shown = inner.length > 0 ? `[${code(name)}](${anchor(path)})` : code(name);
  const means = `${description}${variable === undefined ? '' : ` ${code(variable)} replaces it.`}`;
  return [shown, type, isRequired ? 'required' : initial === undefined ? '' : code(initial), means];
}

const tableOfKeys = (keys: readonly ConfigKey[]): string =>
  tableOf(['key', 'value', 'default', 'meaning'], keys.map(rowOf));

function sectionsOf({ path, description, shape, inner }: ConfigKey): string {
  if (inner.length === 0) return '';
  const what = shape === 'section' ? description : `${description} Keys of each element:`;
  return `\n## ${path}\n\n${what}\n\n${tableOfKeys(inner)}${inner.map(sectionsOf).join('')}`;
}

/** docs/reference/configuration.md: every key of the configuration file. */
export function configurationPage(): string {
  const keys = configKeys();
  return [
    `${introduction}\n\`\`\`yaml\n${exampleConfig()}\`\`\`\n\n## Units\n\n${tableOf(['value', 'forms'], unitRows)}`,
    `\n## Keys\n\n${tableOfKeys(keys)}`,
    ...keys.map(sectionsOf),
  ].join('');
}
