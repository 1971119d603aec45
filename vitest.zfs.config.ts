import { defineConfig } from 'vitest/config';

/** The zfs suite, inside the virtual machine: without KVM a processor is 5 to 10 times slower than outside. */
export default defineConfig({
  test: {
    include: ['test/{openzfs-vm,contract,zfs}/**/*.test.ts'],
    globalSetup: ['test/support/nats-server-setup.ts'],
    testTimeout: 900_000,
    hookTimeout: 900_000,
    expect: { poll: { timeout: 180_000 } },
    // one set of kernel modules, pools and module parameters for all
    fileParallelism: false,
    // one worker for all files: starting Node and reading the modules anew takes most of a minute there
    isolate: false,
    retry: 0,
  },
});
