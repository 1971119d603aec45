import type { z } from 'zod';
import type { Bus } from '../connection/connect.ts';
import { parseEvent } from '../subjects.ts';

/** Publishes an event. It may have no subscriber, and may be lost. */
export function publishEvent(bus: Bus, subject: string, body: object): void {
  try {
    bus.nc.publish(subject, JSON.stringify(body));
  } catch {
    // the connection is closing, or the event exceeds max_payload
  }
}

/**
 * Subscribes to events whose bodies match the schema; other events are ignored.
 * @returns a function that unsubscribes
 */
export function onEvents<S extends z.ZodType>(
  bus: Bus,
  subject: string,
  schema: S,
  received: (event: { host: string; what: string; body: z.output<S> }) => void,
): () => void {
  const subscription = bus.nc.subscribe(subject, {
    callback: (error, message) => {
      // with an error there is no message
      const place = error ? undefined : parseEvent(message.subject);
      if (!place) return;
      try {
        const body = schema.safeParse(message.json());
        if (body.success) received({ host: place.host, what: place.what, body: body.data });
      } catch {
        // not JSON, so not an event of zpsend
      }
    },
  });
  return () => subscription.unsubscribe();
}
