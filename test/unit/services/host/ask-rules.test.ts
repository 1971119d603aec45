import { describe, expect, test } from 'vitest';
import { configSchema } from '../../../../schemas/config.ts';
import { shareOf } from '../../../../services/host/ask-rules.ts';

const configOf = (send: object, receive: object = {}) => configSchema.parse({ send, receive });

describe('what a host may know of a dataset of another one', () => {
  const rules = configOf({
    allow: [
      { dataset: 'tank', to: 'b' },
      { dataset: 'tank/private', to: 'c' },
      { dataset: 'tank/enc', to: 'b', raw: 'required' },
      { dataset: 'tank/ordered', to: 'b', from: 'other' },
      { dataset: 'tank/both', to: '*', raw: 'required' },
      { dataset: 'tank/both', to: 'b' },
    ],
  });

  test.each([
    ['what is sent to it', 'b', 'tank/vm', 'all'],
    ['what is sent to another host', 'c', 'tank/vm', 'nothing'],
    ['what a deeper rule sends to another host alone', 'b', 'tank/private', 'nothing'],
    ['and below that', 'b', 'tank/private/x', 'nothing'],
    ['what that rule sends to it', 'c', 'tank/private/x', 'all'],
    ['what is sent to it only raw', 'b', 'tank/enc/x', 'encrypted'],
    ['what another host orders for it', 'b', 'tank/ordered', 'all'],
    ['what one of two rules sends to it plain', 'b', 'tank/both', 'all'],
    ['what one of two rules sends to all raw', 'c', 'tank/both', 'encrypted'],
    ['what no rule names', 'b', 'pool/a', 'nothing'],
  ])('%s', (_, asker, dataset, share) => expect(shareOf(rules, asker, dataset)).toBe(share));

  test('all of what it may write, whatever is sent to it', () => {
    const own = configOf({ allow: [] }, { allow: [{ from: 'b', into: 'tank/replicas' }] });
    expect(['tank/replicas/vm', 'tank/replicas2', 'tank'].map((dataset) => shareOf(own, 'b', dataset))).toEqual([
      'all',
      'nothing',
      'nothing',
    ]);
  });

  test('without send.allow the configuration says nothing of what is sent', () =>
    expect(shareOf(configOf({}), 'b', 'tank')).toBeUndefined());
});
