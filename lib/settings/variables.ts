import {
  keyVariables,
  natsVariables,
  otherNatsVariables,
  otherVariables,
  zpsendVariables,
} from '../../schemas/environment.ts';
import { nearestWords } from '../../schemas/nearest-word.ts';

const known = [zpsendVariables, keyVariables, natsVariables, otherNatsVariables, otherVariables].flatMap(Object.keys);

/** The variables that are read by nothing, and are near to one that is, such as one with a letter less. */
export function misspeltVariables(env: NodeJS.ProcessEnv): { name: string; meant: string[] }[] {
  return Object.keys(env)
    .filter((name) => /^(?:ZPSEND|NATS)_/i.test(name) && !known.includes(name))
    .map((name) => ({ name, meant: nearestVariables(name) }))
    .filter(({ meant }) => meant.length > 0);
}

/** Only the part after the prefix counts, which all have in common. */
function nearestVariables(name: string): string[] {
  const [, prefix = '', rest = ''] = /^([^_]*_)(.*)$/.exec(name) ?? [];
  const siblings = known.filter((one) => one.startsWith(prefix.toUpperCase()));
  const near = nearestWords(
    rest,
    siblings.map((one) => one.slice(prefix.length)),
  );
  return near.map((one) => `${prefix.toUpperCase()}${one}`);
}
