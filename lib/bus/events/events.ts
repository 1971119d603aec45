import type { z } from 'zod';
import type { Bus } from '../connection/connect.ts';
import { parseEvent } from '../subjects.ts';

/** Publishes an event; nobody need listen, and one that is lost costs nobody anything. */
export function publishEvent(bus: Bus, subject: string, body: object): void {
  try {
    bus.nc.publish(subject, JSON.stringify(body));
  } catch {
    // the connection is closing, or the server takes no message of that size
  }
}

/**
 * Hears events whose bodies their schema accepts; what it does not accept is passed over.
 * @returns a function that stops listening
 */
export function onEvents<S extends z.ZodType>(
  bus: Bus,
  subject: string,
  schema: S,
  heard: (event: { host: string; what: string; body: z.output<S> }) => void,
): () => void {
  const subscription = bus.nc.subscribe(subject, {
    callback: (error, message) => {
      // with an error there is no message
      const place = error ? undefined : parseEvent(message.subject);
      if (!place) return;
      try {
        const body = schema.safeParse(message.json());
        if (body.success) heard({ host: place.host, what: place.what, body: body.data });
      } catch {
        // not JSON: not one of ours
      }
    },
  });
  return () => subscription.unsubscribe();
}
