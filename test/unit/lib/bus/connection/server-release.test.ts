import { expect, test } from 'vitest';
import { releaseFaults } from '../../../../../lib/bus/connection/server-release.ts';

test.each([
  ['2.11.9', ['not strict', 'answers lost']],
  ['2.12.0', ['answers lost']],
  ['2.12.11', ['answers lost']],
  ['2.12.12', []],
  ['2.12.15-RC.1', []],
  ['2.14.0', ['answers lost']],
  ['2.14.2', ['answers lost']],
  ['2.14.3', []],
  ['2.15.1', []],
  ['v3.0.0', []],
  ['', []],
])('nats-server %s: %j', (version, faults) => {
  expect(releaseFaults(version).map(({ what }) => what)).toEqual(faults);
});
