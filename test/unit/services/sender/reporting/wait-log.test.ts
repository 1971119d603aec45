import { pino } from 'pino';
import { expect, test } from 'vitest';
import { type Code, ZpsendError } from '../../../../../schemas/errors.ts';
import { logOf } from '../../../../../services/host/log.ts';
import { openWaitLog } from '../../../../../services/sender/reporting/wait-log.ts';
import { mentions } from '../../../../support/mentions.ts';

/** What is logged, as `level message`. */
function open() {
  const lines: string[] = [];
  const write = (line: string) => {
    const { level, msg } = JSON.parse(line);
    lines.push(`${pino.levels.labels[level]} ${msg}`);
  };
  return { lines, waits: openWaitLog(logOf(pino({ level: 'info' }, { write }))) };
}
const error = (code: Code, message: string) => new ZpsendError(code, message).toBody();

test('each thing that is waited for is logged once, and then that the wait is over', () => {
  const { lines, waits } = open();
  waits.waits(error('LOCKED', 'one'), performance.now() + 5000);
  waits.waits(error('LOCKED', 'two'), performance.now() + 5000);
  waits.waits(error('BUSY', 'three'), undefined);
  waits.waits(error('LOCKED', 'four'), performance.now() + 5000);
  waits.over();
  waits.over();
  waits.waits(error('LOCKED', 'five'), undefined);
  expect(lines).toEqual([
    expect.stringMatching(/^warn LOCKED: one; .*\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
    mentions('warn BUSY: three'),
    mentions('info', '0 s'),
    mentions('warn LOCKED: five'),
  ]);
});
