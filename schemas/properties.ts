import { z } from 'zod';
import { propertyValueSchema } from './names.ts';

/** A property that a request may set or exclude on receive. The step sets the origin; only the receiver sets properties of zpsend. */
export const receivablePropertySchema = z
  .string()
  .regex(/^(?!origin$|zpsend:)[a-z0-9_:.-]{1,255}$/i, 'not the name of a property that can be set on receive')
  .meta({ title: 'property' });

/** A pattern of property names; `*` matches any characters. */
export const propertyPatternSchema = z
  .string()
  .regex(/^[a-z0-9_:.*-]{1,255}$/i, 'not a pattern: the characters of a property name, and "*"')
  .meta({ title: 'property pattern' });

const names = z.array(receivablePropertySchema).max(64);

/** The requested properties of received datasets, within the limits of the receiver (zfs-receive(8)). */
export const propertyWishesSchema = z.strictObject({
  set: z.record(receivablePropertySchema, propertyValueSchema).optional().meta({
    description: 'Properties to set on each received dataset, as `zfs receive -o`.',
  }),
  exclude: names.optional().meta({
    description: 'Properties of the stream that take no effect, as `zfs receive -x`.',
  }),
  include: names.optional().meta({
    description: 'Properties of the stream that take effect although the receiver excludes them by default.',
  }),
});

export type PropertyWishes = z.infer<typeof propertyWishesSchema>;
