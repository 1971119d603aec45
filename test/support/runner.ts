import { type RunnerTestFile, TestRunner } from 'vitest';

/** The default export of a runner is what vitest loads. In CI a test on a bus may be tried again: a shared machine misses a deadline now and then. */
export default class BusRetries extends TestRunner {
  override onCollectStart(file: RunnerTestFile): void {
    if (process.env.CI && file.filepath.includes('/test/bus/')) this.config.retry = 1;
    super.onCollectStart(file);
  }
}
