import type { ReceiveConfig } from '../../schemas/config.ts';
import type { ReceiveStart } from '../../schemas/transfer.ts';

/** Where it is remembered what a chain began with; children inherit it, hence the guid in its value. */
const mark = 'zpsend:stream';

/** Of the source's properties, what would take effect on this host's own paths and shares. */
const ofTheHost = ['mountpoint', 'canmount', 'sharenfs', 'sharesmb'];

/** `-o` and `-x` of one receive: what this host is configured for, what the chain began with, and no mountpoint from elsewhere. */
export function streamProperties(
  { record, props }: Pick<ReceiveStart, 'record' | 'props'>,
  { set, exclude }: ReceiveConfig['properties'],
): ReceiveConfig['properties'] {
  const all = { ...set, ...(record !== undefined && { [mark]: record }) };
  const left = new Set([...exclude, ...(props ? ofTheHost : [])]);
  return { set: all, exclude: [...left].filter((name) => !(name in all)) };
}
