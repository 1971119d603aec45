import { stringify } from 'yaml';
import { z } from 'zod';
import { configSchema } from '../../schemas/config.ts';
import { variableOfKey } from '../../schemas/environment.ts';
import { flagWords, quantities } from '../../schemas/units.ts';

/** A key of the configuration file. */
export interface ConfigKey {
  readonly name: string;
  /** `receive.allow[].from`: an element of a list has `[]`. */
  readonly path: string;
  readonly description: string;
  /** The allowed values, in words. */
  readonly type: string;
  /** Text in YAML; undefined without a default. */
  readonly default: string | undefined;
  readonly isRequired: boolean;
  /** A value in YAML: the default, or an example. */
  readonly example: string | undefined;
  /** The environment variable that replaces it. */
  readonly variable: string | undefined;
  /** A section contains keys; the elements of a list do. */
  readonly shape: 'section' | 'list' | 'value';
  readonly inner: readonly ConfigKey[];
}

/** The schema inside a default, an optional value or a preprocessed one. */
function within(schema: z.ZodType): z.ZodType | undefined {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault)
    return schema.unwrap() as z.ZodType;
  if (schema instanceof z.ZodPipe) {
    const { in: input, out } = schema.def;
    return (input instanceof z.ZodTransform ? out : input) as z.ZodType;
  }
  return undefined;
}

/** The schema, and all those inside it, outermost first. */
function layersOf(schema: z.ZodType): z.ZodType[] {
  const next = within(schema);
  return next ? [schema, ...layersOf(next)] : [schema];
}

const innermost = (schema: z.ZodType): z.ZodType => layersOf(schema).at(-1) ?? schema;

/** The object in which a value may have keys: the schema itself, an element of a list, or one of several forms. */
function objectIn(schema: z.ZodType): z.ZodObject | undefined {
  const inner = innermost(schema);
  if (inner instanceof z.ZodObject) return inner;
  if (inner instanceof z.ZodArray) return objectIn(inner.element as z.ZodType);
  if (!(inner instanceof z.ZodUnion)) return undefined;
  return inner.options.map((option) => objectIn(option as z.ZodType)).find((found) => found !== undefined);
}

/** Bytes in powers of 1024, as in zfs(8): `16G`. */
function bytesText(bytes: number): string {
  const power = [4, 3, 2, 1].find((each) => bytes >= 1024 ** each && bytes % 1024 ** each === 0) ?? 0;
  return `${bytes / 1024 ** power}${['', 'K', 'M', 'G', 'T'][power]}`;
}

const isBytes = (unit: string): boolean => unit.startsWith('bytes');
const quantityOf = (schema: z.ZodType) =>
  layersOf(schema)
    .map((layer) => (layer instanceof z.ZodUnion ? quantities.get(layer) : undefined))
    .find((found) => found !== undefined);

function rangeOf(min: number | null, max: number | null, shown: (value: number) => string = String): string {
  const isLimit = (value: number | null): value is number =>
    value !== null && Math.abs(value) < Number.MAX_SAFE_INTEGER;
  if (isLimit(min) && isLimit(max)) return `, ${shown(min)} to ${shown(max)}`;
  if (isLimit(min)) return `, at least ${shown(min)}`;
  return isLimit(max) ? `, at most ${shown(max)}` : '';
}

/** One text of the schema's metadata: the outermost. */
const textIn = (schema: z.ZodType, field: 'title' | 'description'): string | undefined =>
  layersOf(schema)
    .map((layer) => layer.meta()?.[field])
    .find((text) => text !== undefined);

function exampleIn(schema: z.ZodType): unknown {
  const lists: unknown[] = layersOf(schema).map((layer) => layer.meta()?.examples);
  const list = lists.find((found) => Array.isArray(found));
  return Array.isArray(list) ? list[0] : undefined;
}

export const descriptionOf = (schema: z.ZodType): string => textIn(schema, 'description') ?? '';

const plural = (noun: string): string => (/^[A-Za-z ]+$/.test(noun) ? noun.replace(/y$/, 'ie').concat('s') : noun);

/** The allowed values, in words. */
export function typeOf(schema: z.ZodType): string {
  const quantity = quantityOf(schema);
  if (quantity) {
    const { unit, min, max } = quantity;
    return `${unit}${rangeOf(min, max, isBytes(unit) ? bytesText : String)}`;
  }
  const title = textIn(schema, 'title');
  if (title !== undefined) return title;
  const inner = innermost(schema);
  if (inner instanceof z.ZodEnum) return inner.options.map((option) => `\`${option}\``).join(', ');
  if (inner instanceof z.ZodLiteral) return [...inner.values].map((value) => `\`${value}\``).join(', ');
  if (inner instanceof z.ZodBoolean) return 'true or false';
  if (inner instanceof z.ZodNumber)
    return `${inner.format === null ? 'number' : 'whole number'}${rangeOf(inner.minValue, inner.maxValue)}`;
  if (inner instanceof z.ZodArray) return `list of ${plural(typeOf(inner.element as z.ZodType))}`;
  if (inner instanceof z.ZodRecord)
    return `map of ${typeOf(inner.keyType as z.ZodType)} to ${typeOf(inner.valueType as z.ZodType)}`;
  if (inner instanceof z.ZodUnion) return inner.options.map((option) => typeOf(option as z.ZodType)).join(' or ');
  return inner instanceof z.ZodObject ? 'map' : 'text';
}

/** A value as YAML on one line. */
function yamlOf(value: unknown, schema: z.ZodType): string {
  const quantity = quantityOf(schema);
  if (quantity && isBytes(quantity.unit) && typeof value === 'number') return bytesText(value);
  if (typeof value === 'boolean' && typeOf(schema) === flagWords) return value ? 'on' : 'off';
  return stringify(value, { collectionStyle: 'flow', lineWidth: 0 }).trim();
}

function keyOf(name: string, path: string, schema: z.ZodType): ConfigKey {
  const inner = innermost(schema);
  const shape = inner instanceof z.ZodObject ? 'section' : objectIn(inner) ? 'list' : 'value';
  const absent = schema.safeParse(undefined);
  const isShown = absent.success && absent.data !== undefined && shape !== 'section';
  const isEmpty = isShown && Array.isArray(absent.data) && absent.data.length === 0;
  const initial = isShown ? yamlOf(absent.data, schema) : undefined;
  const example = exampleIn(schema);
  const object = objectIn(schema);
  return {
    name,
    path,
    description: descriptionOf(schema),
    type: typeOf(schema),
    default: initial,
    isRequired: !absent.success,
    example: isShown && !isEmpty ? initial : example === undefined ? undefined : yamlOf(example, schema),
    variable: variableOfKey.get(path),
    shape,
    inner: object ? keysOf(object, shape === 'section' ? `${path}.` : `${path}[].`) : [],
  };
}

const keysOf = ({ shape }: z.ZodObject, prefix: string): ConfigKey[] =>
  Object.entries(shape).map(([name, schema]) => keyOf(name, `${prefix}${name}`, schema as z.ZodType));

/** All keys of the configuration file, in the order of the schema. */
export const configKeys = (): ConfigKey[] => keysOf(configSchema, '');

export const capital = (text: string): string => `${text.charAt(0).toUpperCase()}${text.slice(1)}`;

/** A key with all keys inside it. */
export const withInner = (key: ConfigKey): ConfigKey[] => [key, ...key.inner.flatMap(withInner)];
