import type { Bus } from '../connection/connect.ts';
import { inboxPrefix } from '../permissions.ts';

/**
 * The host whose NATS user this connection has, from its inbox prefix: that user may ask other hosts only under its own name.
 * Undefined for an administrator, or if NATS has no permissions.
 */
export const askerOf = ({ self, options }: Pick<Bus, 'self' | 'options'>): string | undefined =>
  self && options.inboxPrefix === inboxPrefix(self.host) ? self.host : undefined;
