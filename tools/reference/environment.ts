import {
  keyVariables,
  natsOrder,
  natsVariables,
  otherNatsVariables,
  otherVariables,
  zpsendVariables,
} from '../../schemas/environment.ts';
import { type ConfigKey, configKeys, withInner } from './config-keys.ts';
import { code, madeFrom, tableOf } from './markdown.ts';

const introduction = `# Environment variables

Commands and services read the same variables. Except for \`ZPSEND_ALLOW\`, an empty variable counts as unset.
A variable that replaces a key of the [configuration file](configuration.md) takes precedence over the file, and has the form of that key.
Each variable may also be set in the file \`/etc/zpsend/env\`, in systemd's format \`KEY=value\`.

${madeFrom('schemas/environment.ts')}`;

interface Row {
  readonly means: string;
  readonly default?: string;
  readonly replaces?: string;
  readonly example?: string;
}

const rowOf = ([name, { means, default: initial = '', replaces, example }]: [string, Row]): string[] => [
  code(name),
  `${means}${example === undefined ? '' : ` Example: \`${example}\`.`}`,
  initial,
  replaces === undefined ? '' : code(replaces),
];

/** The variables that replace a key, with the texts of the key. */
function keyRows(): [string, Row][] {
  const keys = new Map<string, ConfigKey>(
    configKeys()
      .flatMap(withInner)
      .map((key) => [key.path, key]),
  );
  return Object.entries(keyVariables).map(([name, path]) => {
    const replaces = path.join('.');
    const key = keys.get(replaces);
    const initial = key?.default;
    return [name, { means: `${key?.description}`, replaces, ...(initial !== undefined && { default: code(initial) }) }];
  });
}

const natsRows = (): [string, Row][] =>
  Object.entries(natsVariables).map(([name, { field, ...row }]) => [
    name,
    field === 'jwt' || field === 'seed' ? row : { ...row, replaces: `nats.${field}` },
  ]);

const tableOfVariables = (rows: readonly [string, Row][]): string =>
  tableOf(['variable', 'meaning', 'default', 'replaces'], rows.map(rowOf));

/** All variables, with their texts. */
export const variableRows = (): [string, Row][] => [
  ...Object.entries<Row>(zpsendVariables),
  ...keyRows(),
  ...natsRows(),
  ...Object.entries<Row>(otherNatsVariables),
  ...Object.entries<Row>(otherVariables),
];

/** docs/reference/environment.md: every variable, and where NATS is found. */
export const environmentPage = (): string =>
  [
    introduction,
    `\n## zpsend\n\n${tableOfVariables([...Object.entries<Row>(zpsendVariables), ...keyRows()])}`,
    `\n## NATS\n\nThese variables are those of the \`nats\` CLI. A password in a URL is percent-encoded.\n\n`,
    tableOfVariables([...natsRows(), ...Object.entries<Row>(otherNatsVariables)]),
    '\n## Where NATS is found\n\nEach setting comes from the first of these places that has it:\n\n',
    natsOrder.map((place, at) => `${at + 1}. ${place}\n`).join(''),
    '\nThe server is one setting. The identity is one setting: key, credentials, password or token. ',
    'The client certificate is one, too.\nzpsend refuses a context with a setting that it does not support, and names the setting. ',
    '`zpsend doctor` shows the place of each setting.\n',
    `\n## Others\n\n${tableOfVariables(Object.entries<Row>(otherVariables))}`,
  ].join('');
