import { expect, test, vi } from 'vitest';
import { type Code, ZpsendError } from '../../../../../schemas/errors.ts';
import { patiently } from '../../../../../services/sender/job/retry.ts';

/** Work that fails with each of the codes in turn, the last one again and again, and then is done. */
function failing(...codes: Code[]) {
  const heard: string[] = [];
  let tries = 0;
  const work = async () => {
    const code = codes[tries];
    tries += 1;
    if (code) throw new ZpsendError(code, code);
    return 'done';
  };
  const waits = (error: { code: string } | undefined) => void heard.push(error?.code ?? 'over');
  return { work, waits, heard, tries: () => tries };
}
const never = new AbortController().signal;

test('what passes is tried again, and what is waited for is told until that is over', async () => {
  const { work, waits, heard } = failing('TIMEOUT', 'TIMEOUT');
  expect(await patiently(work, { ms: 60_000, signal: never, waits })).toBe('done');
  expect(heard).toEqual(['TIMEOUT', 'TIMEOUT', 'over']);
});

test.each<Code>(['UNREACHABLE', 'NO_SUCH_DATASET', 'INTERNAL'])('%s fails at once', async (code) => {
  const { work, waits, heard, tries } = failing(code);
  await expect(patiently(work, { ms: 60_000, signal: never, waits })).rejects.toMatchObject({ code });
  expect([tries(), heard]).toEqual([1, []]);
});

test('what does not pass within the patience fails', async () => {
  vi.useFakeTimers({ toFake: ['performance'] });
  try {
    const { work, waits, tries } = failing(...Array.from({ length: 5 }, (): Code => 'TIMEOUT'));
    const late = () => {
      vi.advanceTimersByTime(400);
      return work();
    };
    await expect(patiently(late, { ms: 500, signal: never, waits })).rejects.toMatchObject({ code: 'TIMEOUT' });
    expect(tries(), 'patience begins with the first failure').toBe(3);
  } finally {
    vi.useRealTimers();
  }
});

test('patience begins when the work begins to wait for its turn, where it did', async () => {
  const began = performance.now() - 600;
  const { work, tries } = failing('TIMEOUT', 'TIMEOUT');
  const since = () => began;
  await expect(patiently(work, { ms: 500, signal: never, since, waits: () => {} })).rejects.toMatchObject({
    code: 'TIMEOUT',
  });
  expect(tries()).toBe(1);
});

test('an abort ends the work and the waiting with its reason', async () => {
  const reason = new ZpsendError('ABORTED', 'by request');
  for (const work of [() => new Promise<never>(() => {}), failing('TIMEOUT', 'TIMEOUT').work]) {
    const stop = new AbortController();
    const waiting = patiently(work, { ms: 60_000, signal: stop.signal, waits: () => {} });
    setImmediate(() => stop.abort(reason));
    await expect(waiting).rejects.toBe(reason);
  }
});
