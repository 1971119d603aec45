import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/{unit,bus,contract,pack}/**/*.test.ts'],
    globalSetup: ['test/support/nats-server-setup.ts'],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    // two cores: each bus test file starts servers and services of its own
    maxWorkers: 2,
    // a shared machine misses a deadline now and then; what is wrong fails every time
    retry: process.env.CI ? 1 : 0,
  },
});
