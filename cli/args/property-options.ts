import { type Command, InvalidArgumentError } from 'commander';
import { type PropertyWishes, propertyWishesSchema, receivablePropertySchema } from '../../schemas/properties.ts';
import { usage } from '../exit-codes.ts';
import { listBy, valueBy } from './option-values.ts';

export interface PropertyOptions {
  set?: Record<string, string>;
  excludeProperty?: string[];
  includeProperty?: string[];
}

const lists = propertyWishesSchema.shape;
const checkedName = valueBy(receivablePropertySchema);

export const withPropertyOptions = (command: Command): Command =>
  command
    .optionsGroup('Properties on the target:')
    .option('-o, --set <property=value>', 'set a property, if the receiver allows it', assignments)
    .option('-x, --exclude-property <name>', "ignore the source's value", listBy(lists.exclude))
    .option('--include-property <name>', "take the source's value, if allowed there", listBy(lists.include))
    .optionsGroup('Output:');

/** A parser of `-o property=value`, which can be repeated. @throws InvalidArgumentError */
function assignments(text: string, before: Readonly<Record<string, string>> = {}): Record<string, string> {
  const cut = text.indexOf('=');
  if (cut <= 0) throw new InvalidArgumentError('property=value');
  const name = checkedName(text.slice(0, cut));
  if (Object.hasOwn(before, name)) throw new InvalidArgumentError(`${name} has a value already`);
  return { ...before, [name]: text.slice(cut + 1) };
}

/**
 * The properties of a request, from `-o`, `-x` and `--include-property`.
 * @throws ZpsendError BAD_REQUEST for a property that several of them name
 */
export function propertiesOf({ set, excludeProperty, includeProperty }: PropertyOptions): PropertyWishes | undefined {
  if (!set && !excludeProperty && !includeProperty) return undefined;
  const names = [...Object.keys(set ?? {}), ...(excludeProperty ?? []), ...(includeProperty ?? [])];
  const twice = names.find((name, at) => names.indexOf(name) !== at);
  if (twice !== undefined) throw usage(`property ${twice} is given twice`);
  return {
    ...(set && { set }),
    ...(excludeProperty && { exclude: excludeProperty }),
    ...(includeProperty && { include: includeProperty }),
  };
}
