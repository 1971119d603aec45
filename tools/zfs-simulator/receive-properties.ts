import { applies, storedValue } from './property-store.ts';
import { Refusal } from './refusal.ts';
import type { Dataset } from './state.ts';
import type { StreamHead } from './stream-format.ts';

/** Properties that `zfs receive` sets or excludes. */
export interface PropertyWishes {
  set: ReadonlyMap<string, string>;
  exclude: readonly string[];
}

/** Sets the properties before the data arrives; they stay if the stream is cut off. */
export function setProperties(dataset: Dataset, head: StreamHead, wishes: PropertyWishes): void {
  const isReceived = (name: string): boolean => dataset.props[`.received ${name}`] !== undefined;
  const props = Object.entries(head.props);
  // ZFS treats values set before the first received properties as received, even with -x
  const isFirst = dataset.props['.hasrecvd'] === undefined && props.some(([name]) => name !== 'volsize');
  if (isFirst) dataset.props['.hasrecvd'] = 'on';
  for (const name of wishes.exclude) {
    if (!isReceived(name)) continue;
    delete dataset.props[name];
    delete dataset.props[`.received ${name}`];
  }
  for (const [name, value] of props) {
    const isLocal = dataset.props[name] !== undefined && !isReceived(name);
    // local values stay, except for a volume's size
    const stays = isFirst ? wishes.exclude.includes(name) && !isLocal : wishes.exclude.includes(name) || isLocal;
    if (!applies(name, dataset.type) || (stays && name !== 'volsize')) continue;
    dataset.props[name] = value;
    dataset.props[`.received ${name}`] = value;
  }
  for (const [name, value] of wishes.set) {
    if (name === 'origin') continue;
    dataset.props[name] = storedValue(name, value, (why) => new Refusal(why));
    delete dataset.props[`.received ${name}`];
  }
  if (head.raw) dataset.props.encryption = head.encryption ?? 'aes-256-gcm';
}
