import { getopt } from './getopt.ts';
import { isOpen, opens } from './keys.ts';
import { changePoolOf, openDataset } from './lookup.ts';
import { print } from './output.ts';
import { Refusal } from './refusal.ts';
import { poolNames, readPool } from './state.ts';

/** `zfs mount`: mounts nothing, but sets the property `mounted`. */
export function mount(argv: readonly string[]): void {
  const { given, operands } = getopt(argv, 'avflOo:R', 'mount [-flvO] [-o opts] <-a|-R filesystem|filesystem>');
  if (operands.length === 0 && !given.has('a')) {
    for (const name of poolNames()) {
      for (const dataset of readPool(name)?.datasets ?? []) {
        if (!dataset.unmounted && dataset.type === 'filesystem') print(`${dataset.name.padEnd(31)} /${dataset.name}\n`);
      }
    }
  }
  for (const name of operands) {
    changePoolOf(name, (pool) => {
      const dataset = openDataset(pool, name);
      if (!isOpen(pool, dataset)) throw new Refusal(`cannot mount '${name}': encryption key not loaded`);
      if (!opens(pool, dataset)) throw new Refusal(`cannot mount '${name}': Permission denied`);
      if (dataset.props.canmount === 'off')
        throw new Refusal(`cannot mount '${name}': 'canmount' property is set to 'off'`);
      if (!dataset.unmounted) throw new Refusal(`cannot mount '${name}': filesystem already mounted`);
      delete dataset.unmounted;
    });
  }
}

/** `zfs unmount`. */
export function unmount(argv: readonly string[]): void {
  const { operands } = getopt(argv, 'fua', 'unmount [-fu] <-a | filesystem|mountpoint>');
  for (const name of operands) {
    changePoolOf(name, (pool) => {
      const dataset = openDataset(pool, name);
      if (dataset.unmounted) throw new Refusal(`cannot unmount '${name}': not currently mounted`);
      dataset.unmounted = true;
    });
  }
}
