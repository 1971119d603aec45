import { describe, expect, test } from 'vitest';
import { takenFromItself } from '../../../../../lib/settings/send-allow.ts';
import { configSchema } from '../../../../../schemas/config.ts';
import { ZpsendError } from '../../../../../schemas/errors.ts';
import { checkRequest, checkSend, type SendOrder } from '../../../../../services/sender/planning/send-rules.ts';
import { mentions } from '../../../../support/mentions.ts';
import { contextOf } from '../../../../support/planning.ts';

const rulesOf = (...allow: object[]) => configSchema.parse({ send: { allow } }).send.allow;

function refusal(rules: ReturnType<typeof rulesOf>, order: SendOrder): ZpsendError | undefined {
  try {
    checkSend(rules, 'src', order);
    return undefined;
  } catch (error) {
    if (error instanceof ZpsendError) return error;
    throw error;
  }
}
const says = (rules: ReturnType<typeof rulesOf>, order: SendOrder) => refusal(rules, order)?.code ?? 'fine';

const toDst: SendOrder = { sourceDataset: 'tank/vm', to: 'dst' };

describe('without send.allow', () => {
  test('every request may be sent, raw or plain', () => {
    expect(says(undefined, toDst)).toBe('fine');
    expect(says(undefined, { ...toDst, raw: false })).toBe('fine');
  });

  test('no other host may request a send', () =>
    expect(says(undefined, { ...toDst, from: 'other' })).toBe('NOT_ALLOWED'));
});

describe('with send.allow', () => {
  const rules = rulesOf(
    { dataset: 'tank', to: '*' },
    { dataset: 'tank/secret', to: 'dst', raw: 'required' },
    { dataset: 'tank/secret/open', to: 'dst' },
  );

  test.each<[string, SendOrder, string]>([
    ['a dataset that a rule names', { sourceDataset: 'tank', to: 'dst' }, 'fine'],
    ['a dataset below it', toDst, 'fine'],
    ['another pool', { sourceDataset: 'pool/a', to: 'dst' }, 'NOT_ALLOWED'],
    ['a name that begins alike', { sourceDataset: 'tank2', to: 'dst' }, 'NOT_ALLOWED'],
    ['a dataset whose own rule names another host', { sourceDataset: 'tank/secret', to: 'dr' }, 'NOT_ALLOWED'],
    ['a dataset below such a dataset', { sourceDataset: 'tank/secret/x', to: 'dr' }, 'NOT_ALLOWED'],
    ['raw: required, before it is planned', { sourceDataset: 'tank/secret', to: 'dst' }, 'fine'],
    ['raw: required, and it is raw', { sourceDataset: 'tank/secret', to: 'dst', raw: true }, 'fine'],
    ['raw: required, and it is plain', { sourceDataset: 'tank/secret', to: 'dst', raw: false }, 'NOT_ALLOWED'],
    ['raw: required above, and a deeper rule', { sourceDataset: 'tank/secret/open', to: 'dst', raw: false }, 'fine'],
    ['ordered by another host', { ...toDst, from: 'other' }, 'NOT_ALLOWED'],
  ])('%s', (_, order, expected) => expect(says(rules, order)).toBe(expected));

  test('an empty list allows nothing', () => expect(says(rulesOf(), toDst)).toBe('NOT_ALLOWED'));

  test('one of two rules for a dataset is enough', () => {
    const two = rulesOf({ dataset: 'tank', to: '*', raw: 'required' }, { dataset: 'tank', to: 'dst' });
    expect(says(two, { ...toDst, raw: false })).toBe('fine');
    expect(says(two, { sourceDataset: 'tank', to: 'dr', raw: false })).toBe('NOT_ALLOWED');
  });

  test.each([
    ['other', 'fine'],
    ['third', 'NOT_ALLOWED'],
  ])('a rule with from is for that host, and not for this one: %s', (from, expected) => {
    const own = rulesOf({ dataset: 'tank', to: 'dst', from: 'other' });
    expect(says(own, { ...toDst, from })).toBe(expected);
    expect(says(own, toDst)).toBe('NOT_ALLOWED');
  });

  test('a refusal names the rule that decides, or the rule to add', () => {
    expect(refusal(rules, { sourceDataset: 'pool/a', to: 'dst' })?.message).toEqual(
      mentions('{dataset: "pool/a", to: "dst"}'),
    );
    const raw = refusal(rules, { sourceDataset: 'tank/secret/x', to: 'dst', raw: false });
    expect(raw?.message).toEqual(mentions('tank/secret/x', 'dst', 'tank/secret', 'raw: required'));
    expect(raw?.details).toEqual({ dataset: 'tank/secret/x', to: 'dst', rule: 'tank/secret' });
  });
});

describe('a conflict policy in another host’s request', () => {
  const rules = rulesOf({ dataset: 'tank', to: 'dst', from: 'other' }, { dataset: 'tank', to: 'dst' });
  const asked = { dataset: 'tank/vm@1', to: { host: 'dst' } };

  test.each(['rollback', 'rotate'] as const)(
    '%s is refused with the fix; this host may request it itself',
    (conflict) => {
      const order = (from?: string) => () => checkRequest(rules, contextOf({ ...asked, conflict }), from);
      expect(order('other')).toThrow(
        expect.objectContaining({
          code: 'NOT_ALLOWED',
          message: mentions(`zpsend send --conflict ${conflict}`, 'src'),
          details: { dataset: 'tank/vm', to: 'dst', from: 'other', conflict },
        }),
      );
      expect(order()).not.toThrow();
    },
  );

  test.each([undefined, 'refuse'] as const)('%s destroys nothing', (conflict) =>
    expect(() => checkRequest(rules, contextOf({ ...asked, ...(conflict && { conflict }) }), 'other')).not.toThrow(),
  );
});

describe('rules that exclude this host from a rule above', () => {
  const above = { dataset: 'tank', to: 'b', raw: 'required' };
  const deeper = { dataset: 'tank/vm', to: 'c', from: 'other' };
  const taken = (...allow: object[]) => takenFromItself(rulesOf(...allow) ?? []);

  test('are reported, with the rule to add', () =>
    expect(taken(above, deeper)).toEqual([
      mentions('{dataset: "tank/vm", to: "c", from: "other"}', '{dataset: "tank/vm", to: "b", raw: required}'),
    ]));

  test.each([
    ['nothing above', [deeper]],
    ['a rule above for other hosts only', [{ ...above, from: 'third' }, deeper]],
    ['a rule for this host and the same dataset', [above, deeper, { dataset: 'tank/vm', to: 'd' }]],
    ['a rule there for every host', [above, { ...deeper, from: '*' }]],
    ['a deeper rule for this host', [above, { dataset: 'tank/vm', to: 'd' }]],
    [
      'one above that is taken already',
      [
        { ...deeper, dataset: 'tank/vm/x' },
        { ...deeper, from: 'third' },
      ],
    ],
  ])('with %s no rule is reported', (_, allow) => expect(taken(...allow)).toEqual([]));
});
