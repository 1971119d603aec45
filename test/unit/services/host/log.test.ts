import { afterEach, expect, test, vi } from 'vitest';
import { lineForPeople, openLog } from '../../../../services/host/log.ts';
import { mentions } from '../../../support/mentions.ts';

afterEach(() => vi.restoreAllMocks());

/** The lines that a log with this environment writes to standard error. */
function written(env: NodeJS.ProcessEnv, say: (log: ReturnType<typeof openLog>) => void): string[] {
  const lines: string[] = [];
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => lines.push(String(text)) > 0);
  say(openLog('smos-01', env));
  vi.restoreAllMocks();
  return lines;
}

test('a text line has the time, level, program, host and message', () => {
  const json = JSON.stringify({
    level: 30,
    time: 0,
    name: 'zpsend',
    pid: 7,
    hostname: 'smos-01',
    msg: 'an initial seed needed',
  });
  expect(lineForPeople(json)).toBe('[1970-01-01T00:00:00.000Z]  INFO: zpsend/7 on smos-01: an initial seed needed\n');
});

test('a text line ends with its other fields', () => {
  const json = JSON.stringify({ level: 50, time: 0, name: 'zpsend', pid: 7, hostname: 'a', msg: 'no', depth: 3 });
  expect(lineForPeople(json)).toMatch(/ERROR: zpsend\/7 on a: no \{"depth":3\}\n$/);
});

test('a text line about a job has the job’s fields that its message does not name', () => {
  const line = (msg: string, more: object = {}) => {
    const fields = { job: 'job1', transfer: 'job1t1', source: 'smos-01', dataset: 'a/b', target: 'smos-00:tank/b' };
    return lineForPeople(JSON.stringify({ level: 30, time: 0, name: 'zpsend', pid: 7, ...fields, msg, ...more }));
  };
  expect(line('waiting', { hostname: 'smos-01' })).toMatch(/: waiting \(a\/b to smos-00:tank\/b, job job1\)\n$/);
  expect(line('sent a/b to smos-00', { hostname: 'smos-01' })).toMatch(/: sent a\/b to smos-00 \(job job1\)\n$/);
  const arrived = { hostname: 'smos-00', snapshot: 'a/b@c' };
  expect(line('received a/b@c into tank/b', arrived)).toMatch(/: received a\/b@c into tank\/b \(job job1\)\n$/);
  expect(line('it broke\u001b[2J', { ...arrived, target: 'x\u0007' })).toMatch(
    /broke\?\[2J \(a\/b@c to x\?, job job1\)\n$/,
  );
});

test('a JSON log has one line per event, with the host’s name', () => {
  const [line = '', ...more] = written({ ZPSEND_LOG: 'json' }, (log) =>
    log.info('step.snapshots', 'from: zones/test@now', { code: 'BUSY' }),
  );
  expect(JSON.parse(line)).toMatchObject({
    name: 'zpsend',
    hostname: 'smos-01',
    level: 30,
    event: 'step.snapshots',
    code: 'BUSY',
    msg: 'from: zones/test@now',
  });
  expect(line.endsWith('}\n')).toBe(true);
  expect(more).toEqual([]);
});

test('a message with a newline stays one line of JSON', () => {
  const lines = written({ ZPSEND_LOG: 'json' }, (log) => log.warn('plan.noted', 'one\ntwo'));
  expect(lines.join('').split('\n')).toHaveLength(2);
});

test('a terminal gets text lines', () => {
  expect(written({ ZPSEND_LOG: 'people' }, (log) => log.warn('plan.noted', 'careful', { code: 'BUSY' }))[0]).toMatch(
    /WARN: zpsend\/\d+ on smos-01: careful\n$/,
  );
});

test.each([
  [undefined, ['info']],
  ['debug', ['debug', 'info']],
  ['warn', []],
  ['silent', []],
])('ZPSEND_LOG_LEVEL=%s', (level, told) => {
  const env = { ZPSEND_LOG: 'json', ...(level !== undefined && { ZPSEND_LOG_LEVEL: level }) };
  const lines = written(env, (log) => {
    log.debug('plan.noted', 'debug');
    log.info('plan.noted', 'info');
  });
  expect(lines.map((line) => JSON.parse(line).msg)).toEqual(told);
});

test.each([
  [{ ZPSEND_LOG: 'xml' }, ['ZPSEND_LOG', '"xml"', 'json', 'people']],
  [{ ZPSEND_LOG_LEVEL: 'loud' }, ['ZPSEND_LOG_LEVEL', '"loud"', 'debug']],
])('%j is refused', (env, facts) => {
  expect(() => openLog('smos-00', env)).toThrow(
    expect.objectContaining({ code: 'BAD_REQUEST', message: mentions(...facts) }),
  );
});
