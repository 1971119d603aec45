import type { z } from 'zod';

type Schema = z.core.$ZodType;
export type Path = readonly PropertyKey[];

/** The forms that a value may have, without optional, default and transform around them. */
function formsOf(schema: Schema): z.core.$ZodTypes[] {
  const form = schema as z.core.$ZodTypes;
  const { def } = form._zod;
  switch (def.type) {
    case 'optional':
    case 'nullable':
    case 'default':
    case 'prefault':
      return formsOf(def.innerType);
    case 'pipe':
      // a value that is preprocessed has its form behind the transform
      return formsOf((def.in as z.core.$ZodTypes)._zod.def.type === 'transform' ? def.out : def.in);
    case 'union':
      return def.options.flatMap(formsOf);
    default:
      return [form];
  }
}

const shapeOf = ({ _zod: { def } }: z.core.$ZodTypes): Readonly<Record<string, Schema>> =>
  def.type === 'object' ? def.shape : {};

function inner(form: z.core.$ZodTypes, key: PropertyKey): Schema[] {
  const { def } = form._zod;
  if (def.type === 'array') return [def.element];
  if (def.type === 'record') return [def.valueType];
  const shape = shapeOf(form);
  const schema = Object.hasOwn(shape, key) ? shape[String(key)] : undefined;
  return schema ? [schema] : [];
}

/** The keys that a schema knows at a place of a value. Empty if no object is there. */
export function keysAt(schema: Schema, path: Path): string[] {
  const schemas = path.reduce<Schema[]>(
    (outer, key) => outer.flatMap(formsOf).flatMap((form) => inner(form, key)),
    [schema],
  );
  return [...new Set(schemas.flatMap(formsOf).flatMap((form) => Object.keys(shapeOf(form))))];
}

/** The path of every key of a schema; the element of a list is 0, and a value of a record has the key `x`. */
export function keyPaths(schema: Schema, at: Path = []): Path[] {
  return formsOf(schema).flatMap((form): Path[] => {
    const { def } = form._zod;
    if (def.type === 'array') return keyPaths(def.element, [...at, 0]);
    if (def.type === 'record') return keyPaths(def.valueType, [...at, 'x']);
    return Object.entries(shapeOf(form)).flatMap(([key, value]) => [[...at, key], ...keyPaths(value, [...at, key])]);
  });
}
