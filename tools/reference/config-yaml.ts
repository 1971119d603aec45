import { type ConfigKey, capital, configKeys, withInner } from './config-keys.ts';

const width = 100;

/** Lines of at most `most` characters. */
function wrapped(text: string, most: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const last = lines.at(-1);
    if (last === undefined || last.length + 1 + word.length > most) lines.push(word);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines;
}

const withoutMarkup = (text: string): string => text.replaceAll('`', '');

/** The allowed values, the default and the variable of a key. */
function facts({ type, default: initial, variable, isRequired }: ConfigKey): string {
  const words = [type, ...(isRequired ? ['required'] : []), ...(initial === undefined ? [] : [`default: ${initial}`])];
  return `${words.join('; ')}.${variable === undefined ? '' : ` ${variable} replaces it.`}`;
}

const commentOf = (text: string, indent: string, hanging = ''): string[] =>
  wrapped(withoutMarkup(text), width - indent.length - 2 - hanging.length).map(
    (line, at) => `${indent}# ${at === 0 ? '' : hanging}${line}`,
  );

function linesOf(key: ConfigKey, indent: string, isActive: (path: string) => boolean): string[] {
  const { name, path, description, shape, inner, example } = key;
  if (shape === 'section') {
    const below = inner.flatMap((one, at) => [...(at > 0 ? [''] : []), ...linesOf(one, `${indent}  `, isActive)]);
    return [...commentOf(description, indent), `${indent}${name}:`, ...below];
  }
  const keysOfElements = inner
    .flatMap(withInner)
    .flatMap((one) =>
      commentOf(`- ${one.path.slice(path.length + 3)}: ${one.description} ${capital(facts(one))}`, indent, '  '),
    );
  const setting = `${name}: ${example ?? ''}`;
  return [
    ...commentOf(description, indent),
    ...commentOf(capital(facts(key)), indent),
    ...keysOfElements,
    `${indent}${isActive(path) ? '' : '#'}${setting}`,
  ];
}

/**
 * A configuration file with every key: its description, and a setting with its default, or with an example.
 * @param isActive which settings are no comments, by their path
 */
export const configYaml = (head: string, isActive: (path: string) => boolean): string =>
  `${[head, ...configKeys().flatMap((key) => ['', ...linesOf(key, '', isActive)])].join('\n')}\n`;

const head = `# The configuration of zpsend on this host. zpsend.yaml(5) describes it.
# A setting in a comment has its default, or is an example. To set a key, remove the # before it.
# Check the file with: zpsend config check`;

/** deploy/zpsend.yaml: the file that packages install. It sets nothing. */
export const packagedConfig = (): string => configYaml(head, () => false);
