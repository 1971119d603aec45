import { describe, expect, test } from 'vitest';
import { coalesce } from '../../../../services/host/coalesce.ts';

describe('coalesced work', () => {
  /** Work that the test ends; each run gives its number. */
  function workshop() {
    const runs: PromiseWithResolvers<number>[] = [];
    const ask = coalesce(() => {
      const run = Promise.withResolvers<number>();
      runs.push(run);
      return run.promise;
    });
    return { runs, ask };
  }
  const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

  test('runs once for all callers before it starts; a caller during the run waits for the next run', async () => {
    const { runs, ask } = workshop();
    const early = [ask(), ask(), ask()];
    await turn();
    expect(runs).toHaveLength(1);
    const late = [ask(), ask()];
    await turn();
    expect(runs, 'one at a time').toHaveLength(1);
    runs[0]?.resolve(1);
    expect(await Promise.all(early)).toEqual([1, 1, 1]);
    await turn();
    expect(runs).toHaveLength(2);
    runs[1]?.resolve(2);
    expect(await Promise.all(late)).toEqual([2, 2]);
  });

  test('fails for the callers that shared it, and not for the next caller', async () => {
    const { runs, ask } = workshop();
    const first = ask();
    await turn();
    const second = ask();
    runs[0]?.reject(new Error('no answer'));
    await expect(first).rejects.toThrow('no answer');
    await turn();
    runs[1]?.resolve(2);
    expect(await second).toBe(2);
  });
});
