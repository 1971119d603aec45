import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { decodeReply, decodeRequest, headline, maxRequestBytes, statusOf } from '../../../../../lib/bus/rpc/codec.ts';
import { codes } from '../../../../../schemas/error-codes.ts';
import { type Code, type ErrorDetails, ZpsendError } from '../../../../../schemas/errors.ts';
import { sendRequestSchema, sendStartSchema } from '../../../../../schemas/request.ts';
import { mentions } from '../../../../support/mentions.ts';

const schema = z.strictObject({ dataset: z.string().max(10).optional(), recursive: z.boolean().optional() });
const bytes = (text: string) => new TextEncoder().encode(text);
const decode = (text: string | Uint8Array) =>
  decodeRequest(typeof text === 'string' ? bytes(text) : text, schema, (dataset) => ({ dataset }));

/** The error that a call throws. */
function refusal(call: () => unknown): ZpsendError {
  try {
    call();
  } catch (error) {
    if (error instanceof ZpsendError) return error;
    throw error;
  }
  throw new Error('it was accepted');
}

describe('a target', () => {
  const to = (value: unknown) =>
    decodeRequest(bytes(JSON.stringify({ dataset: 'a/b', to: value })), sendStartSchema).to;

  test.each<[unknown, unknown]>([
    ['smos-00', { host: 'smos-00' }],
    ['smos-00:tank/x', { host: 'smos-00', dataset: 'tank/x' }],
    [
      ['smos-00', { host: 'dr-1' }],
      [{ host: 'smos-00' }, { host: 'dr-1' }],
    ],
  ])('%j is valid', (value, target) => expect(to(value)).toEqual(target));

  test.each<[unknown, string[]]>([
    ['a.b', ['to', 'HOST:pool/dataset']],
    [
      ['a', 'a.b'],
      ['to.1', 'HOST:pool/dataset'],
    ],
    [{ hots: 'a' }, ['to', 'host', '"hots"']],
    [[], ['to']],
    [1, ['to', 'string', 'object']],
  ])('%j is refused, and the error names the fault', (value, facts) => {
    expect(refusal(() => to(value))).toMatchObject({ code: 'BAD_REQUEST', message: mentions(...facts) });
  });
});

describe('a request’s body', () => {
  test.each(['', ' ', '\n', '\r\n', '\t \n'])('%j is a request without arguments', (text) => {
    expect(decode(text)).toEqual({});
  });

  test.each([
    ['zones/test', 'zones/test'],
    ['zones/test\n', 'zones/test'],
    ['zones/test\r\n', 'zones/test'],
    ['my tank', 'my tank'],
    ['"quoted"', '"quoted"'],
    ['42', '42'],
  ])('plain text %j is the main argument', (text, dataset) => expect(decode(text)).toEqual({ dataset }));

  test('only the final newline that a shell adds is removed', () => {
    expect(decode('a\n\n')).toEqual({ dataset: 'a\n' });
  });

  test.each(['{"dataset":"tank"}', ' {"dataset":"tank"}\n', '{"recursive":true,"dataset":"tank"}'])(
    '%j is JSON',
    (text) => {
      expect(decode(text)).toMatchObject({ dataset: 'tank' });
    },
  );

  test.each<[string, string, ErrorDetails | string[]]>([
    ['malformed JSON', '{"dataset":', { reason: 'not-json' }],
    ['JSON followed by more', '{} {}', { reason: 'not-json' }],
    ['a list', '["tank"]', ['object']],
    ['a wrong type', '{"dataset":1}', ['dataset', 'string']],
    ['null for a value', '{"dataset":null}', ['dataset', 'string']],
    ['an unknown field', '{"dataset":"a","sudo":true}', ['"sudo"']],
    ['an unknown field named __proto__', '{"__proto__":{"recursive":true}}', ['"__proto__"']],
    ['an unknown field named constructor', '{"constructor":{}}', ['"constructor"']],
    ['text that is too long', 'x'.repeat(11), ['dataset', '<=10']],
    ['deep nesting', '['.repeat(100_000), { reason: 'not-json' }],
  ])('%s is a bad request, and the error names the fault', (_what, text, wanted) => {
    const error = refusal(() => decode(text));
    expect(error.code).toBe('BAD_REQUEST');
    if (Array.isArray(wanted)) expect(error.message).toEqual(mentions(...wanted));
    else expect(error.details).toEqual(wanted);
  });

  test('that is too large is refused before it is decoded', () => {
    const error = refusal(() => decode(new Uint8Array(maxRequestBytes + 1).fill(0xff)));
    expect(error).toMatchObject({ code: 'BAD_REQUEST' });
    expect(error.message).toEqual(mentions(maxRequestBytes + 1, maxRequestBytes));
  });

  test.each([[[0xff]], [[0xc3]], [[0x7b, 0x80, 0x7d]], [[0xed, 0xa0, 0x80]]])('bytes %j are not text', (raw) => {
    expect(refusal(() => decode(Uint8Array.from(raw)))).toMatchObject({ code: 'BAD_REQUEST' });
    expect(decode('still'), 'and the next request is decoded').toEqual({ dataset: 'still' });
  });

  test('plain text is refused if the subject has no main argument', () => {
    expect(refusal(() => decodeRequest(bytes('zones'), schema))).toMatchObject({ code: 'BAD_REQUEST' });
  });

  test('any bytes are either a valid request or a bad request', () => {
    const any = fc.oneof(fc.uint8Array(), fc.string().map(bytes), fc.json().map(bytes));
    fc.assert(
      fc.property(any, (data) => {
        try {
          const request = decodeRequest(data, sendRequestSchema, (dataset) => ({ dataset }));
          expect(sendRequestSchema.safeParse(request).success).toBe(true);
        } catch (error) {
          expect(error).toMatchObject({ code: 'BAD_REQUEST' });
        }
      }),
    );
  });
});

describe('a reply’s body', () => {
  const replySchema = z.strictObject({ ok: z.boolean() });

  test('is returned if it matches the schema', () => {
    expect(decodeReply(bytes('{"ok":true}'), replySchema)).toEqual({ ok: true });
  });

  test('with an error throws it with its code and its evidence', () => {
    const sent = new ZpsendError('LOCKED', 'held by another', { transfer: 'abc123', life: 7 });
    const got = refusal(() => decodeReply(bytes(JSON.stringify({ error: sent.toBody() })), replySchema));
    expect(got.toBody()).toEqual(sent.toBody());
  });

  test.each([
    '',
    'ok',
    '{"ok":1}',
    '{"ok":true,"more":1}',
    '{"error":{"code":"NEW_CODE","message":"x","retryable":true}}',
  ])('%j is not a valid reply', (text) =>
    expect(refusal(() => decodeReply(bytes(text), replySchema))).toMatchObject({ code: 'INTERNAL' }),
  );
});

describe('an error’s headers', () => {
  const all = Object.keys(codes) as Code[];

  test.each(all)('%s has a number', (code) => {
    expect(statusOf(new ZpsendError(code, 'x').toBody())).toMatch(/^[45]\d\d$/);
  });

  test('are one short line for any message', () => {
    fc.assert(
      fc.property(fc.constantFrom(...all), fc.string({ unit: 'binary', maxLength: 2000 }), (code, message) => {
        const line = headline(new ZpsendError(code, message).toBody());
        // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it checks for
        expect(line).not.toMatch(/[\x00-\x1f\x7f]/);
        expect(line.length).toBeLessThanOrEqual(512);
        expect(line.startsWith(`${code}: `)).toBe(true);
      }),
    );
    expect(headline(new ZpsendError('INTERNAL', 'one\r\ntwo: three').toBody())).toBe('INTERNAL: one two: three');
  });
});

test('anything thrown becomes an error with a valid code', () => {
  fc.assert(
    fc.property(fc.anything(), (thrown) => {
      const body = ZpsendError.from(thrown).toBody();
      expect(body).toMatchObject({ code: 'INTERNAL', retryable: false });
      expect(body.message.length).toBeGreaterThan(0);
    }),
    { examples: [[{ toString: 0 }], [Object.create(null)]] },
  );
});

describe('a message of another version of the protocol', () => {
  const info = z.strictObject({ protocol: z.literal(1), host: z.string() });
  const later = bytes(JSON.stringify({ protocol: 2, host: 'smos-00', later: 'field' }));

  test.each([
    ['request', () => decodeRequest(later, info)],
    ['reply', () => decodeReply(later, info)],
  ])('is refused as a %s, and its other fields are not read', (what, decode) => {
    expect(refusal(decode)).toMatchObject({
      code: 'UNSUPPORTED',
      message: mentions(what, 2, 1),
      details: { reason: 'protocol', protocol: 2, reads: 1 },
    });
  });
});
