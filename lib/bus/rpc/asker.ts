import type { Bus } from '../connection/connect.ts';
import { inboxPrefix } from '../permissions.ts';

/**
 * The host whose NATS user this connection has, as its inboxes show: it may ask other hosts in its own name only. Undefined for an
 * administrator, or where users have no permissions.
 */
export const askerOf = ({ self, options }: Pick<Bus, 'self' | 'options'>): string | undefined =>
  self && options.inboxPrefix === inboxPrefix(self.host) ? self.host : undefined;
