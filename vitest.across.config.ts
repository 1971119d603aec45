import { defineConfig } from 'vitest/config';
import zfs from './vitest.zfs.config.ts';

/** One leg of test/openzfs-vm/across, inside the virtual machine. */
export default defineConfig({
  test: { ...zfs.test, include: ['test/across/**/*.test.ts'], globalSetup: [] },
});
