import { z } from 'zod';
import { propertyValueSchema } from './names.ts';

/** A property that `zfs receive` may set or leave. The origin is the step's, and what zpsend notes is the receiver's alone. */
export const receivablePropertySchema = z
  .string()
  .regex(/^(?!origin$|zpsend:)[a-z0-9_:.-]{1,255}$/i, 'not the name of a property that can be set on receive');

/** Names of properties, with `*` for any part of one. */
export const propertyPatternSchema = z
  .string()
  .regex(/^[a-z0-9_:.*-]{1,255}$/i, 'not a pattern: the characters of a property name, and "*"');

const names = z.array(receivablePropertySchema).max(64);

/** What a request wants of the properties of what arrives, within what the receiver allows (zfs-receive(8)). */
export const propertyWishesSchema = z.strictObject({
  /** `-o property=value` */
  set: z.record(receivablePropertySchema, propertyValueSchema).optional(),
  /** `-x property`: the stream's value takes no effect. */
  exclude: names.optional(),
  /** The stream's value takes effect, though the receiver leaves it out unless asked. */
  include: names.optional(),
});

export type PropertyWishes = z.infer<typeof propertyWishesSchema>;
