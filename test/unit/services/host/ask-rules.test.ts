import { describe, expect, test } from 'vitest';
import { configSchema } from '../../../../schemas/config.ts';
import { shareOf } from '../../../../services/host/ask-rules.ts';

const configOf = (send: object, receive: object = {}) => configSchema.parse({ send, receive });

describe('the snapshots that a host may list of another host’s dataset', () => {
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
    ['a dataset sent to the asker', 'b', 'tank/vm', 'all'],
    ['a dataset sent to another host', 'c', 'tank/vm', 'nothing'],
    ['a dataset that a deeper rule sends to another host only', 'b', 'tank/private', 'nothing'],
    ['a dataset below such a dataset', 'b', 'tank/private/x', 'nothing'],
    ['a dataset that the deeper rule sends to the asker', 'c', 'tank/private/x', 'all'],
    ['a dataset sent to the asker only raw', 'b', 'tank/enc/x', 'encrypted'],
    ['a dataset that another host orders for the asker', 'b', 'tank/ordered', 'all'],
    ['a dataset that one of two rules sends to the asker plain', 'b', 'tank/both', 'all'],
    ['a dataset that one of two rules sends to all hosts raw', 'c', 'tank/both', 'encrypted'],
    ['a dataset that no rule names', 'b', 'pool/a', 'nothing'],
  ])('%s', (_, asker, dataset, share) => expect(shareOf(rules, asker, dataset)).toBe(share));

  test('include each dataset that it may write', () => {
    const own = configOf({ allow: [] }, { allow: [{ from: 'b', into: 'tank/replicas' }] });
    expect(['tank/replicas/vm', 'tank/replicas2', 'tank'].map((dataset) => shareOf(own, 'b', dataset))).toEqual([
      'all',
      'nothing',
      'nothing',
    ]);
  });

  test('without send.allow the configuration does not limit the sent datasets', () =>
    expect(shareOf(configOf({}), 'b', 'tank')).toBeUndefined());
});
