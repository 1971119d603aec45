import { deflateSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type NvValue, packNvlist, unpackNvlist } from '../../../../lib/zfs/nvlist.ts';
import { decodeToken, encodeToken, peekToken, type TokenContents } from '../../../../lib/zfs/resume-token.ts';
import type { Step } from '../../../../schemas/plan.ts';
import { resumeOf } from '../../../../services/sender/transfer/resume.ts';

const flags = { raw: false, largeBlock: false, embed: false, compressed: false };
const honest: TokenContents = {
  ...{ toname: 'tank/my src@c', toguid: '1348558994062647032', fromguid: '14078234535408974160' },
  ...{ object: 3n, offset: 9_830_400n, bytes: 9_988_544n, flags: { ...flags, compressed: true } },
};
const values = (more: Iterable<readonly [string, NvValue]> = []): Map<string, NvValue> =>
  new Map<string, NvValue>([
    ...([
      ['object', 3n],
      ['offset', 1n],
      ['bytes', 1n],
      ['toguid', 7n],
      ['toname', 'tank/a@1'],
    ] as const),
    ...more,
  ]);

/** A token around any bytes, with a checksum that fits. */
function around(packed: Buffer, length = packed.length): string {
  const body = deflateSync(packed);
  let sum = 0n;
  for (let at = 0; at + 4 <= body.length; at += 4) sum += BigInt(body.readUInt32LE(at));
  return `1-${sum.toString(16)}-${length.toString(16)}-${body.toString('hex')}`;
}
const tokenOf = (all: Map<string, NvValue>): string => around(packNvlist(all));

describe('a resume token', () => {
  test('is decoded as it was encoded, with any numbers, names and flags', () => {
    const guid = fc.bigInt({ min: 1n, max: 2n ** 64n - 1n });
    const name = fc.stringMatching(
      /^[a-z][a-z0-9_.:-]{0,20}(\/[a-z0-9 ]{0,19}[a-z0-9]){0,3}@[a-z0-9][a-z0-9:.]{0,20}$/,
    );
    const any = fc.record({
      ...{ toname: name, toguid: guid.map(String), object: guid, offset: guid, bytes: guid },
      flags: fc.record({ raw: fc.boolean(), largeBlock: fc.boolean(), embed: fc.boolean(), compressed: fc.boolean() }),
    });
    fc.assert(
      fc.property(any, fc.option(guid.map(String), { nil: undefined }), (contents, fromguid) => {
        const all = { ...contents, ...(fromguid !== undefined && { fromguid }) };
        expect(decodeToken(encodeToken(all))).toEqual(all);
      }),
      { numRuns: 300 },
    );
  });

  test.each<[string, string]>([
    ['with a duplicate name', around(twice())],
    ['with a value that ZFS never writes', tokenOf(values([['a', 'x\n\ttoguid = 0x1']]))],
    ['whose snapshot has a line break', tokenOf(values([['toname', 'tank/a@1\n\ttoguid = 0x1']]))],
    ['whose snapshot is a dataset', tokenOf(values([['toname', 'tank/a']]))],
    ['whose snapshot is an option', tokenOf(values([['toname', '-R@1']]))],
    ['of a number in text', tokenOf(values([['toguid', '7']]))],
    ['of a flag with a value', tokenOf(values([['rawok', 1n]]))],
    ['of a redacted stream', tokenOf(values([['redact_snaps', 1n]]))],
    ['without a guid', tokenOf(new Map([...values()].filter(([name]) => name !== 'toguid')))],
    ['followed by more bytes', around(Buffer.concat([packNvlist(values()), Buffer.alloc(8)]))],
    ['that is truncated', around(packNvlist(values()).subarray(0, 60))],
    ['in the XDR form', around(Buffer.concat([Buffer.from([1]), packNvlist(values()).subarray(1)]))],
    ['with a flag that allows duplicate names', around(flagged())],
    ['of another length', around(packNvlist(values()), 9)],
    ['that unpacks to too much', around(Buffer.alloc(1024 * 1024))],
    ['of no list at all', around(Buffer.alloc(20))],
    ['that is empty', around(Buffer.alloc(0))],
    ['with another checksum', tokenOf(values()).replace(/^1-[0-9a-f]+/, '1-1')],
    ['of another version', tokenOf(values()).replace(/^1/, '2')],
    ['that is not compressed', `1-0-10-${'00'.repeat(16)}`],
    ['that is malformed', '1-abc-def'],
  ])('%s is none', (_, token) => {
    expect(() => decodeToken(token)).toThrow(expect.objectContaining({ code: 'RESUME_STALE' }));
    expect(peekToken(token)).toBeUndefined();
  });

  test('of random bytes is refused without hanging', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(
          peekToken(around(Buffer.concat([Buffer.from([0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0]), bytes]))),
        ).toBeUndefined();
      }),
      { numRuns: 2000 },
    );
  });

  test('of a big-endian machine is decoded too', () => {
    const packed = packNvlist(new Map([['a', 1n]]));
    const big = Buffer.from(packed);
    big[1] = 0;
    for (const [at, length] of [
      [4, 4],
      [8, 4],
      [12, 4],
      [16, 2],
      [20, 4],
      [24, 4],
      [36, 8],
    ] as const) {
      packed
        .subarray(at, at + length)
        .toReversed()
        .forEach((byte, place) => {
          big[at + place] = byte;
        });
    }
    expect(unpackNvlist(big)).toEqual(new Map([['a', 1n]]));
  });
});

function twice(): Buffer {
  const packed = packNvlist(values());
  const pair = packNvlist(new Map([['toguid', 8n]])).subarray(12, -4);
  return Buffer.concat([packed.subarray(0, -4), pair, Buffer.alloc(4)]);
}
function flagged(): Buffer {
  const packed = packNvlist(values());
  packed.writeInt32LE(0, 8);
  return packed;
}

describe('the token that resumes a step', () => {
  const step: Step = {
    ...{
      type: 'incremental',
      to: { name: 'tank/now@c', guid: honest.toguid },
      targetDataset: 'zones/a',
      flags: ['compressed'],
    },
    from: { kind: 'snapshot', name: 'tank/now@b', guid: honest.fromguid ?? '' },
  };
  const asked = async (given: Partial<TokenContents>, more: Partial<Step> = {}) => {
    const tried: string[] = [];
    const estimate = async (stream: object) => {
      tried.push('token' in stream ? String(stream.token) : '');
      return 1;
    };
    const resume = await resumeOf(
      { estimate },
      { ...step, ...more },
      encodeToken({ ...honest, toname: 'tank/now@c', ...given }),
    );
    expect(tried).toEqual(resume.token === undefined ? [] : [resume.token]);
    return resume;
  };

  test('has the guids and the name of the plan, and only the position of the peer’s token', async () => {
    // the dataset was renamed at the source meanwhile
    const { token = '', offset } = await asked({ toname: 'tank/now@old name' });
    expect(decodeToken(token)).toEqual({ ...honest, toname: 'tank/now@c' });
    expect(offset).toBe(9_988_544);
  });

  test('keeps harmless flags of the interrupted stream, even if they are no longer requested', async () => {
    const initial = { ...flags, embed: true, compressed: true };
    const { token = '' } = await asked({ flags: initial }, { flags: [] });
    expect(decodeToken(token).flags).toEqual(initial);
  });

  test.each<[string, Partial<TokenContents>, Partial<Step>]>([
    ['another snapshot', { toguid: '1' }, {}],
    ['another base', { fromguid: '1' }, {}],
    ['a plain stream, where raw is planned', {}, { flags: ['raw'] }],
    ['a raw stream, where plain is planned', { flags: { ...flags, raw: true } }, {}],
    ['large blocks, where none are planned', { flags: { ...flags, largeBlock: true } }, {}],
  ])('is not that of %s', async (_, given, more) => {
    expect(await asked(given, more)).toEqual({ stale: true, offset: 0 });
  });

  test('of another dataset is kept, as is one that cannot be decoded', async () => {
    await expect(asked({ toguid: '1', toname: 'tank/other@c' })).rejects.toMatchObject({ code: 'EXISTS' });
    await expect(resumeOf({ estimate: async () => 1 }, step, '1-a-b-cc')).rejects.toMatchObject({ code: 'EXISTS' });
  });
});
