import { expect, test } from 'vitest';
import { type Code, ZpsendError } from '../../../../../schemas/errors.ts';
import { retry } from '../../../../../services/sender/job/retry.ts';
import { manualClock } from '../../../../support/manual-clock.ts';

/** Work that fails with each of the codes in turn, the last one again and again, and then succeeds. */
function failing(...codes: Code[]) {
  const waited: string[] = [];
  let tries = 0;
  const work = async () => {
    const code = codes[tries];
    tries += 1;
    if (code) throw new ZpsendError(code, code);
    return 'done';
  };
  const onWait = (error: { code: string } | undefined) => void waited.push(error?.code ?? 'over');
  return { work, onWait, waited, tries: () => tries };
}
const never = new AbortController().signal;

test('a retryable failure is retried, and each wait and its end are reported', async () => {
  const clock = manualClock();
  const { work, onWait, waited } = failing('TIMEOUT', 'TIMEOUT');
  const done = retry(work, { clock, patienceMs: 60_000, signal: never, onWait });
  await clock.advance(60_000);
  expect(await done).toBe('done');
  expect(waited).toEqual(['TIMEOUT', 'TIMEOUT', 'over']);
});

test.each<Code>(['UNREACHABLE', 'NO_SUCH_DATASET', 'INTERNAL'])('%s fails at once', async (code) => {
  const { work, onWait, waited, tries } = failing(code);
  const options = { clock: manualClock(), patienceMs: 60_000, signal: never, onWait };
  await expect(retry(work, options)).rejects.toMatchObject({ code });
  expect([tries(), waited]).toEqual([1, []]);
});

test('a failure that outlasts the patience is final', async () => {
  const clock = manualClock();
  const { work, onWait, tries } = failing(...Array.from({ length: 5 }, (): Code => 'TIMEOUT'));
  const slow = () => clock.sleep(10_000).then(work);
  const done = expect(retry(slow, { clock, patienceMs: 15_000, signal: never, onWait })).rejects.toMatchObject({
    code: 'TIMEOUT',
  });
  await clock.advance(60_000);
  await done;
  expect(tries(), 'patience begins with the first failure').toBe(3);
});

test('the patience starts when the work starts to wait for its turn', async () => {
  const { work, tries } = failing('TIMEOUT', 'TIMEOUT');
  const options = { clock: manualClock(), patienceMs: 500, signal: never, since: () => -600, onWait: () => {} };
  await expect(retry(work, options)).rejects.toMatchObject({ code: 'TIMEOUT' });
  expect(tries()).toBe(1);
});

test('an abort ends the work and the wait with its reason', async () => {
  const reason = new ZpsendError('ABORTED', 'by request');
  for (const work of [() => new Promise<never>(() => {}), failing('TIMEOUT', 'TIMEOUT').work]) {
    const stop = new AbortController();
    const options = { clock: manualClock(), patienceMs: 60_000, signal: stop.signal, onWait: () => {} };
    const waiting = retry(work, options);
    setImmediate(() => stop.abort(reason));
    await expect(waiting).rejects.toBe(reason);
  }
});
