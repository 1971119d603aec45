import { describe, expect, test } from 'vitest';
import { askAgain } from '../../../../../lib/bus/rpc/retry-request.ts';
import { timing } from '../../../../../lib/time/timing.ts';
import { ZpsendError } from '../../../../../schemas/errors.ts';
import { manualClock } from '../../../../support/manual-clock.ts';

const silence = new ZpsendError('TIMEOUT', 'silence');

/** Each request, which a test answers. */
function useAsked() {
  const clock = manualClock();
  const asked: (PromiseWithResolvers<string> & { onReply: () => void })[] = [];
  const answer = askAgain(
    (onReply) => {
      const one = { ...Promise.withResolvers<string>(), onReply };
      asked.push(one);
      return one.promise;
    },
    timing.request.repeatMs,
    clock,
  );
  answer.catch(() => {});
  return { asked, answer, pass: clock.advance };
}

describe('a request to a queue group', () => {
  test('is repeated after 10, 20 and 40 s without a first part, and not again', async () => {
    const { asked, pass } = useAsked();
    const counts: number[] = [];
    for (const ms of [9999, 1, 10_000, 19_999, 1, 600_000]) {
      await pass(ms);
      counts.push(asked.length);
    }
    expect(counts).toEqual([1, 2, 3, 3, 4, 4]);
  });

  test('takes the first answer, also to an earlier request', async () => {
    const { asked, answer, pass } = useAsked();
    await pass(10_000);
    asked[0]?.resolve('slow');
    expect(await answer).toBe('slow');
    await pass(100_000);
    expect(asked).toHaveLength(2);
  });

  test('is not repeated after the first part, even if the rest takes long', async () => {
    const { asked, answer, pass } = useAsked();
    asked[0]?.onReply();
    await pass(100_000);
    expect(asked).toHaveLength(1);
    asked[0]?.resolve('long');
    expect(await answer).toBe('long');
  });

  test('fails with TIMEOUT only after all repetitions have timed out', async () => {
    const { asked, answer, pass } = useAsked();
    await pass(20_000);
    asked[0]?.reject(silence);
    asked[1]?.reject(silence);
    await pass(0);
    asked[2]?.reject(silence);
    await expect(answer).rejects.toBe(silence);
    await pass(100_000);
    expect(asked).toHaveLength(3);
  });

  test('fails at the first refusal', async () => {
    const { asked, answer, pass } = useAsked();
    await pass(10_000);
    const refusal = new ZpsendError('NO_SUCH_DATASET', 'there is none');
    asked[1]?.reject(refusal);
    await expect(answer).rejects.toBe(refusal);
  });
});
