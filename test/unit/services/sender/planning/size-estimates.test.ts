import { describe, expect, test } from 'vitest';
import type { Zfs } from '../../../../../lib/zfs/zfs.ts';
import type { Step } from '../../../../../schemas/plan.ts';
import { estimateLarge, withSizes } from '../../../../../services/sender/planning/size-estimates.ts';
import { progressOf } from '../../../../../services/sender/reporting/progress.ts';
import { manualClock } from '../../../../support/manual-clock.ts';

const stepOf = (n: number, size: number): Step => ({
  type: 'incremental',
  to: { name: `tank/a@${n}`, guid: String(n) },
  from: { name: `tank/a@${n - 1}`, guid: String(n - 1), kind: 'snapshot' },
  targetDataset: 'tank/a',
  size,
});
const stepsOf = (count: number, size = 1) => Array.from({ length: count }, (_, n) => stepOf(n + 1, size));

/** A ZFS that estimates a thousand bytes for each number of a snapshot, when `answer` lets it; a multiple of 10 fails. */
function zfsThat(answer: (n: number) => Promise<void>) {
  const asked: number[] = [];
  let atOnce = 0;
  let most = 0;
  const estimate: Zfs['estimate'] = async (stream) => {
    const n = 'to' in stream ? Number(stream.to.split('@')[1]) : 0;
    expect(stream).toEqual({ to: `tank/a@${n}`, from: `tank/a@${n - 1}` });
    asked.push(n);
    most = Math.max(most, ++atOnce);
    await answer(n);
    atOnce -= 1;
    if (n % 10 === 0) throw new Error('gone');
    return n * 1000;
  };
  return { zfs: { estimate } as Partial<Zfs> as Zfs, clock: manualClock(), asked, most: () => most };
}
async function all(parts: AsyncIterable<Step[]>): Promise<Step[][]> {
  const found: Step[][] = [];
  for await (const part of parts) found.push(part);
  return found;
}
const soon = () => new Promise<void>((resolve) => setImmediate(resolve));

describe('the sizes of a plan', () => {
  test('are ZFS’s estimates in the order of the steps, some requested at once', async () => {
    const { most, ...deps } = zfsThat(soon);
    const parts = await all(withSizes(deps, stepsOf(100)));
    expect(parts.flat()).toEqual(
      stepsOf(100).map((step, at) => ((at + 1) % 10 ? { ...step, size: (at + 1) * 1000 } : step)),
    );
    expect(most()).toBe(4);
    expect(parts, 'what is known soon is one part').toHaveLength(1);
  });

  test('are reported as they come in while others take long', async () => {
    const late = Promise.withResolvers<void>();
    const deps = zfsThat((n) => (n === 7 ? late.promise : soon()));
    const parts = withSizes(deps, stepsOf(20), 20);
    const first = parts.next();
    await deps.clock.advance(19);
    for (let n = 0; n < 20; n += 1) await soon();
    await deps.clock.advance(1);
    expect(((await first).value as Step[]).map(({ to }) => to.guid)).toEqual(['1', '2', '3', '4', '5', '6']);
    late.resolve();
    const rest = (await all(parts)).flat();
    expect(rest.map(({ to }) => Number(to.guid))).toEqual(Array.from({ length: 14 }, (_, n) => n + 7));
  });

  test('are not requested after the reader has left', async () => {
    const clock = manualClock();
    const { zfs, asked } = zfsThat(() => clock.sleep(5));
    const parts = withSizes({ zfs, clock }, stepsOf(500), 20);
    const first = parts.next();
    await clock.advance(20);
    await first;
    await parts.return(undefined);
    const before = asked.length;
    await clock.advance(50);
    expect(asked.length).toBeLessThan(before + 5);
  });

  test('come from the listing if the plan is very long', async () => {
    const { asked, ...deps } = zfsThat(soon);
    expect((await all(withSizes(deps, stepsOf(2001)))).flat()).toEqual(stepsOf(2001));
    expect(asked).toEqual([]);
  });

  test('of no steps are empty', async () => {
    expect(await all(withSizes(zfsThat(soon), []))).toEqual([]);
  });
});

describe('the sizes of a job', () => {
  const MiB = 1024 * 1024;

  test('are requested only for large steps that are still to be sent', async () => {
    const { zfs, asked, most } = zfsThat(soon);
    const steps = [stepOf(1, 100 * MiB), stepOf(2, MiB), stepOf(3, 20 * MiB), stepOf(4, 0), stepOf(10, 9 * MiB)];
    const [first] = steps;
    const plans = [{ sourceDataset: 'tank/a', targetDataset: 'tank/a', steps }];
    const progress = progressOf(plans);
    if (first) progress.arrived(0, first, 1);
    await estimateLarge(zfs, plans, progress);
    expect(asked).toEqual([3, 10]);
    expect(most()).toBe(2);
    expect(progress.report(new Map(), false).size).toBe(100 * MiB + MiB + 3000 + 9 * MiB);
  });
});
