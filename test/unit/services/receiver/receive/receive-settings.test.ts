import { describe, expect, test } from 'vitest';
import { configSchema } from '../../../../../schemas/config.ts';
import { noLastReceivedHolds } from '../../../../../services/receiver/bases/last-received-holds.ts';
import { receiveSettingsOf, windowFor } from '../../../../../services/receiver/receive/receive-settings.ts';

const holds = { ...noLastReceivedHolds };
const of = (receive: object, timing: object = {}) =>
  receiveSettingsOf({ host: 'dst', path: undefined, config: configSchema.parse({ receive, timing }) }, holds);

describe('the settings with which a receive begins', () => {
  test('are those of the receiver', () => {
    const allow = [{ from: 'src', into: 'tank', conflicts: [] }];
    const properties = { set: { atime: 'off' }, exclude: [] };
    expect(of({ allow, properties, maxConcurrent: 8 }, { silenceSeconds: 3 })).toMatchObject({
      ...{ allow, properties, silenceMs: 3000, window: windowFor(8) },
    });
  });

  test('hold its newest snapshot, or not', () => {
    expect(of({}).lastReceivedHolds).toBe(holds);
    expect(of({ holdNewest: false }).lastReceivedHolds).toBe(noLastReceivedHolds);
  });

  test('never let all windows together exceed the server’s max_pending, also after maxConcurrent has changed', () => {
    for (let before = 1; before <= 64; before += 1) {
      for (let now = before; now <= 64; now += 1) {
        const bytes = before * windowFor(before) + (now - before) * windowFor(now);
        expect(bytes, `${before} to ${now}`).toBeLessThan(64 * 1024 * 1024);
      }
    }
  });
});
