import { configPaths } from '../../lib/settings/config-file.ts';
import { version } from '../../lib/settings/version.ts';
import { type ConfigKey, capital, configKeys } from '../reference/config-keys.ts';
import { exampleConfig, unitRows } from '../reference/configuration.ts';
import { bold, italic, line, literal, macro, prose, tagged, title } from './roff.ts';

function keyLines(key: ConfigKey): string[] {
  const { name, type, description, default: initial, variable, isRequired, shape, inner } = key;
  const more = [
    ...(isRequired ? ['Required.'] : []),
    ...(initial === undefined ? [] : [`Default: \`${initial}\`.`]),
    ...(variable === undefined ? [] : [`\`${variable}\` replaces it.`]),
  ];
  const value = shape === 'section' ? [] : ['.br', prose([`${capital(type)}.`, ...more].join(' '))];
  const below = inner.length > 0 ? ['.RS', ...inner.flatMap(keyLines), '.RE'] : [];
  return [...tagged(bold(name), prose(description), ...value), ...below];
}

const sectionLines = (keys: readonly ConfigKey[]): string[] => {
  const sections = keys.filter(({ shape }) => shape === 'section');
  const others = keys.filter(({ shape }) => shape !== 'section');
  return [
    ...others.flatMap(keyLines),
    ...sections.flatMap(({ path, description, inner }) => [
      macro('SS', path),
      prose(description),
      ...inner.flatMap(keyLines),
    ]),
  ];
};

/** man5/zpsend.yaml.5 */
export function configPage(): string {
  const lines = [
    title('zpsend.yaml', 5, version, 'zpsend Manual'),
    '.nh',
    '.ad l',
    macro('SH', 'NAME'),
    'zpsend.yaml \\- configuration of zpsend',
    macro('SH', 'SYNOPSIS'),
    configPaths.map(italic).join(', '),
    macro('SH', 'DESCRIPTION'),
    line('The configuration of a host is one YAML file. Every key is optional.'),
    line('A key that zpsend does not know is an error. Environment variables replace keys of the file.'),
    prose('`zpsend config check FILE` checks a file before a service reads it.'),
    macro('SH', 'KEYS'),
    ...sectionLines(configKeys()),
    macro('SH', 'UNITS'),
    ...unitRows.flatMap(([value, forms]) => tagged(bold(value), prose(forms))),
    macro('SH', 'EXAMPLES'),
    line('Each value is the default of its key, or an example.'),
    ...literal(exampleConfig().trimEnd().split('\n')),
    macro('SH', 'SEE ALSO'),
    `${bold('zpsend')}(1), ${bold('zpsend-config-check')}(1)`,
  ];
  return `${lines.join('\n')}\n`;
}
