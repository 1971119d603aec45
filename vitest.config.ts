import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/{unit,bus,contract,pack}/**/*.test.ts'],
    globalSetup: ['test/support/nats-server-setup.ts', 'test/support/bundle-setup.ts'],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    // on two cores: a bus test file starts servers and services of its own, and waits for them a good part of its time
    maxWorkers: 3,
    // a shared machine misses a deadline now and then; what is wrong fails every time
    retry: process.env.CI ? 1 : 0,
  },
});
