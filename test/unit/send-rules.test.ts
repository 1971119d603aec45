import { describe, expect, test } from 'vitest';
import { configSchema } from '../../schemas/config.ts';
import { ZpsendError } from '../../schemas/errors.ts';
import { checkSend, type SendOrder } from '../../services/sender/send-rules.ts';

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

const toDst: SendOrder = { dataset: 'tank/vm', to: 'dst' };

describe('without send.allow', () => {
  test('whatever is ordered may be sent, raw or plain', () => {
    expect(says(undefined, toDst)).toBe('fine');
    expect(says(undefined, { ...toDst, raw: false })).toBe('fine');
  });

  test('no other host may order anything', () =>
    expect(says(undefined, { ...toDst, from: 'other' })).toBe('NOT_ALLOWED'));
});

describe('with send.allow', () => {
  const rules = rulesOf(
    { dataset: 'tank', to: '*' },
    { dataset: 'tank/secret', to: 'dst', raw: 'required' },
    { dataset: 'tank/secret/open', to: 'dst' },
  );

  test.each<[string, SendOrder, string]>([
    ['what it names', { dataset: 'tank', to: 'dst' }, 'fine'],
    ['what lies below', toDst, 'fine'],
    ['another pool', { dataset: 'pool/a', to: 'dst' }, 'NOT_ALLOWED'],
    ['a name that begins alike', { dataset: 'tank2', to: 'dst' }, 'NOT_ALLOWED'],
    ['a dataset whose own rule names another host', { dataset: 'tank/secret', to: 'dr' }, 'NOT_ALLOWED'],
    ['and below that', { dataset: 'tank/secret/x', to: 'dr' }, 'NOT_ALLOWED'],
    ['raw: required, before it is planned', { dataset: 'tank/secret', to: 'dst' }, 'fine'],
    ['raw: required, and it is raw', { dataset: 'tank/secret', to: 'dst', raw: true }, 'fine'],
    ['raw: required, and it is plain', { dataset: 'tank/secret', to: 'dst', raw: false }, 'NOT_ALLOWED'],
    ['raw: required above, and a deeper rule', { dataset: 'tank/secret/open', to: 'dst', raw: false }, 'fine'],
    ['ordered by another host', { ...toDst, from: 'other' }, 'NOT_ALLOWED'],
  ])('%s', (_, order, expected) => expect(says(rules, order)).toBe(expected));

  test('an empty list allows nothing', () => expect(says(rulesOf(), toDst)).toBe('NOT_ALLOWED'));

  test('of two rules for one dataset either will do', () => {
    const two = rulesOf({ dataset: 'tank', to: '*', raw: 'required' }, { dataset: 'tank', to: 'dst' });
    expect(says(two, { ...toDst, raw: false })).toBe('fine');
    expect(says(two, { dataset: 'tank', to: 'dr', raw: false })).toBe('NOT_ALLOWED');
  });

  test.each([
    ['other', 'fine'],
    ['third', 'NOT_ALLOWED'],
  ])('a rule with from is for that host, and not for this one: %s', (from, expected) => {
    const own = rulesOf({ dataset: 'tank', to: 'dst', from: 'other' });
    expect(says(own, { ...toDst, from })).toBe(expected);
    expect(says(own, toDst)).toBe('NOT_ALLOWED');
  });

  test('a refusal names the rule that decides, or the one to add', () => {
    expect(refusal(rules, { dataset: 'pool/a', to: 'dst' })?.message).toContain('{dataset: "pool/a", to: "dst"}');
    const raw = refusal(rules, { dataset: 'tank/secret/x', to: 'dst', raw: false });
    expect(raw?.message).toMatch(/tank\/secret\/x to dst: the rule for tank\/secret .*raw: required/);
    expect(raw?.details).toEqual({ dataset: 'tank/secret/x', to: 'dst', rule: 'tank/secret' });
  });
});
