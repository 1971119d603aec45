import { type PropertyWishes, receivablePropertySchema } from '../../schemas/properties.ts';
import { usage } from '../exit-codes.ts';
import type { SendOptions } from './send-options.ts';

/**
 * What `-o`, `-x` and `--include-property` ask for together.
 * @throws ZpsendError BAD_REQUEST for what is no property, or asked for in two ways
 */
export function propertiesOf({ set, excludeProperty, includeProperty }: SendOptions): PropertyWishes | undefined {
  if (!set && !excludeProperty && !includeProperty) return undefined;
  const assigned = (set ?? []).map(assignment);
  const names = [...assigned.map(([name]) => name), ...(excludeProperty ?? []), ...(includeProperty ?? [])];
  const twice = names.find((name, at) => names.indexOf(name) !== at);
  if (twice !== undefined) throw usage(`property ${twice} is given twice`);
  const odd = names.find((name) => !receivablePropertySchema.safeParse(name).success);
  if (odd !== undefined) throw usage(`${odd} is not the name of a property that can be set on receive`);
  return {
    ...(set && { set: Object.fromEntries(assigned) }),
    ...(excludeProperty && { exclude: excludeProperty }),
    ...(includeProperty && { include: includeProperty }),
  };
}

function assignment(text: string): [string, string] {
  const cut = text.indexOf('=');
  if (cut > 0) return [text.slice(0, cut), text.slice(cut + 1)];
  throw usage(`-o ${text}: property=value`);
}
