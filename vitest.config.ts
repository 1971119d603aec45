import { defineConfig } from 'vitest/config';
import { LongFilesFirst } from './test/support/sequencer.ts';

export default defineConfig({
  test: {
    include: ['test/{unit,bus,contract,pack}/**/*.test.ts'],
    globalSetup: ['test/support/nats-server-setup.ts', 'test/support/bundle-setup.ts'],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    // a process that is just started answers late where six files run at once; what holds ends the wait
    expect: { poll: { timeout: 30_000 } },
    // on two cores: a bus test file waits a good part of its time, for leases, services and servers
    maxWorkers: 6,
    sequence: { sequencer: LongFilesFirst },
    retry: 0,
    runner: './test/support/runner.ts',
  },
});
