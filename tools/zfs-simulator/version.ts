import { print } from './output.ts';

/** `zfs version`: the release whose words the simulator speaks. */
export const version = (): void => print('zfs-2.3.2-sim\nzfs-kmod-2.3.2-sim\n');
