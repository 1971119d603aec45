import { pino } from 'pino';
import { expect, test } from 'vitest';
import { type Code, ZpsendError } from '../../../../../schemas/errors.ts';
import { logOf } from '../../../../../services/host/log.ts';
import { openWaitLog } from '../../../../../services/sender/reporting/wait-log.ts';
import { type ManualClock, manualClock } from '../../../../support/manual-clock.ts';
import { mentions } from '../../../../support/mentions.ts';

/** The log lines, as `level message`. */
function open(clock: ManualClock) {
  const lines: string[] = [];
  const write = (line: string) => {
    const { level, msg } = JSON.parse(line);
    lines.push(`${pino.levels.labels[level]} ${msg}`);
  };
  return { lines, waits: openWaitLog(logOf(pino({ level: 'info' }, { write })), clock) };
}
const error = (code: Code, message: string) => new ZpsendError(code, message).toBody();

test('each reason of a wait is logged once, and so is the end of the wait', async () => {
  const clock = manualClock();
  const { lines, waits } = open(clock);
  waits.waits(error('LOCKED', 'one'), clock.now() + 5000);
  waits.waits(error('LOCKED', 'two'), clock.now() + 5000);
  waits.waits(error('BUSY', 'three'), undefined);
  await clock.advance(7000);
  waits.waits(error('LOCKED', 'four'), clock.now() + 5000);
  waits.over();
  waits.over();
  waits.waits(error('LOCKED', 'five'), undefined);
  expect(lines).toEqual([
    mentions('warn LOCKED: one', '2026-01-01T00:00:05Z'),
    mentions('warn BUSY: three'),
    mentions('info', '7 s'),
    mentions('warn LOCKED: five'),
  ]);
});
