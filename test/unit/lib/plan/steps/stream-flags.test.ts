import { describe, expect, it, test } from 'vitest';
import { parseFeatures, streamFlagArgv } from '../../../../../lib/zfs/stream-flags.ts';
import type { DatasetEntry } from '../../../../../schemas/inventory.ts';
import type { Plan } from '../../../../../schemas/plan.ts';
import {
  type StreamFeature,
  type StreamWish,
  streamFeatureSchema,
  streamMarkSchema,
} from '../../../../../schemas/stream.ts';
import { mentions } from '../../../../support/mentions.ts';
import { plan } from '../../../../support/planning.ts';
import { dataset, inventory, request } from '../plan-history.ts';

const open = { encryption: 'aes-256-gcm', keystatus: 'available' } as const;
const locked = { encryption: 'aes-256-gcm', keystatus: 'unavailable' } as const;
const all = streamFeatureSchema.options;
const source = dataset('t/c', '@a,1 @b,2');
const secret = dataset('t/c', '@a,1 @b,2', open);
const mark = (flags: string, guid = source.guid) => ({ stream: `${guid}:${flags}` });

interface Case {
  from?: DatasetEntry[];
  onto?: DatasetEntry[];
  wish?: StreamWish;
  features?: StreamFeature[] | 'unknown';
  package?: true;
}

const planned = ({ from = [source], onto = [], wish, features = all, ...more }: Case): Plan =>
  plan(
    request('t/c', {
      to: { host: 'dst', dataset: 'p/c' },
      ...(wish && { stream: wish }),
      ...(more.package && { package: 'replication' }),
    }),
    inventory('src', ...from),
    { ...inventory('dst', dataset('p', ''), ...onto), ...(features !== 'unknown' && { features: { p: features } }) },
  );

/** Flags of each step and the mark of the first; the code of a refusal. */
function flags(one: Case): string {
  const made = planned(one);
  if (!made.ok) return made.error.code;
  const words = made.steps.map((step) => step.flags?.join(',') ?? '-');
  expect(new Set(words).size, 'one chain, one set of flags').toBe(1);
  return words[0] ?? 'nothing';
}
const message = (one: Case): string => {
  const made = planned(one);
  return made.ok ? '' : made.error.message;
};
const onto = (more: Partial<DatasetEntry>, history = '@a,1') => [dataset('p/c', history, more)];

describe('a new chain', () => {
  it('uses the flags that the target can receive, and notes them', () => {
    expect(flags({})).toBe('large-block,compressed');
    const made = planned({});
    const record = `${source.guid}:large-block,compressed`;
    expect(made.ok && made.steps.map((step) => step.record)).toEqual([record, undefined]);
    expect(streamMarkSchema.safeParse(record).success).toBe(true);
  });

  test.each<[string, Exclude<Case['features'], undefined>, string]>([
    ['unknown', 'unknown', '-'],
    ['all disabled', [], '-'],
    ['large blocks alone', ['large_blocks'], 'large-block'],
    ['lz4 without zstd', ['lz4_compress'], '-'],
    ['lz4 and zstd', ['lz4_compress', 'zstd_compress'], 'compressed'],
  ])('if the target’s features are %s', (_, features, expected) => {
    expect(flags({ features })).toBe(expected);
  });

  it('of an encrypted dataset is raw, unless asked otherwise', () => {
    expect(flags({ from: [secret] })).toBe('raw');
    expect(flags({ from: [dataset('t/c', '@a,1', locked)] })).toBe('raw');
    expect(flags({ from: [secret], wish: { raw: false } })).toBe('large-block,compressed');
    expect(flags({ from: [secret], features: ['large_blocks'] })).toBe('UNSUPPORTED');
  });

  it('of an unencrypted dataset is as without --raw', () => {
    expect(flags({ wish: { raw: true } })).toBe('large-block,compressed');
  });

  it('uses the requested flags', () => {
    expect(flags({ wish: { largeBlock: false, embed: false, compressed: false } })).toBe('-');
    expect(flags({ features: 'unknown', wish: { compressed: true } })).toBe('compressed');
    expect(flags({ wish: { props: true, embed: true } })).toBe('large-block,embed,compressed,props');
    expect(flags({ from: [secret], wish: { props: true } })).toBe('raw,props');
  });

  test.each<[StreamFeature, StreamWish, string]>([
    ['large_blocks', { largeBlock: true }, '--large-block'],
    ['embedded_data', { embed: true }, '--embed'],
    ['lz4_compress', { compressed: true }, '--compressed'],
  ])('edge case 29: a requested flag is refused if the target lacks its feature: %s', (feature, wish, flag) => {
    const features = all.filter((one) => one !== feature);
    expect(flags({ features, wish })).toBe('UNSUPPORTED');
    expect(message({ features, wish })).toEqual(
      mentions(flag, 't/c', 'src', 'dst', `zpool set feature@${feature}=enabled p`),
    );
    expect(flags({ features })).not.toBe('UNSUPPORTED');
    expect(flags({ features: all, wish })).not.toBe('UNSUPPORTED');
    // raw it is sent as it is, and where it is encrypted there is nothing to embed
    const plain = { from: [secret], wish: { ...wish, raw: false } };
    expect(flags({ ...plain, features })).toBe(
      feature === 'embedded_data' ? 'large-block,embed,compressed' : 'UNSUPPORTED',
    );
  });

  it('with properties is noted without them', () => {
    const made = planned({ features: [], wish: { props: true } });
    expect(made.ok && made.steps[0]?.record).toBe(`${source.guid}:`);
  });
});

describe('a continued chain', () => {
  it('keeps its initial flags, even if the target can receive others', () => {
    expect(flags({ onto: onto(mark('')) })).toBe('-');
    expect(flags({ onto: onto(mark('large-block')) })).toBe('large-block');
    expect(flags({ onto: onto(mark('large-block,embed,compressed')), features: [] })).toBe('large-block,compressed');
    expect(flags({ from: [secret], onto: onto({ ...locked, ...mark('raw', secret.guid) }) })).toBe('raw');
  });

  it('notes nothing again', () => {
    const made = planned({ onto: onto(mark('large-block')) });
    expect(made.ok && made.steps[0]).not.toHaveProperty('record');
  });

  it('without a note is sent without large blocks, and compressed if possible', () => {
    expect(flags({ onto: onto({}) })).toBe('compressed');
    expect(flags({ onto: onto({}), features: [] })).toBe('-');
  });

  it('ignores an inherited mark, which belongs to another dataset', () => {
    expect(flags({ onto: onto(mark('large-block', '77')) })).toBe('compressed');
  });

  it('with requested large blocks is noted if its initial flags are unknown (openzfs#6224)', () => {
    const notes = (one: Case) => {
      const made = planned(one);
      return made.ok ? (made.notes ?? []) : undefined;
    };
    const wish = { largeBlock: true };
    expect(notes({ onto: onto({}), wish })).toEqual([
      {
        kind: 'unknown-beginning',
        dataset: 't/c',
        message: mentions('t/c', '--large-block', 'p/c', 'dst', 'openzfs#6224'),
      },
    ]);
    expect(notes({ onto: onto(mark('large-block')), wish })).toEqual([]);
    expect(notes({ wish })).toEqual([]);
    expect(notes({ onto: onto({}) })).toEqual([]);
    expect(notes({ onto: onto({}, '@a,1 @b,2'), wish }), 'nothing is sent').toEqual([]);
  });

  it('may change the changeable flags', () => {
    const began = onto(mark('large-block,embed,compressed'));
    expect(flags({ onto: began, wish: { embed: false, compressed: false } })).toBe('large-block');
  });

  it('edge case 19: does not change large blocks, either way (openzfs#6224)', () => {
    expect(flags({ onto: onto(mark('large-block')), wish: { largeBlock: false } })).toBe('UNSUPPORTED');
    expect(flags({ onto: onto(mark('')), wish: { largeBlock: true } })).toBe('UNSUPPORTED');
    expect(flags({ onto: onto({}), wish: { largeBlock: true } })).toBe('large-block,compressed');
    expect(message({ onto: onto(mark('')), wish: { largeBlock: true } })).toEqual(
      mentions('t/c', 'src', '--large-block', 'p/c', 'dst', 'openzfs#6224'),
    );
  });
});

describe('a replica that returns to its origin (openzfs#18101)', () => {
  const origin = dataset('p/c', '@a,1');
  const back = (flagsThen: string, more: Partial<DatasetEntry> = {}) =>
    dataset('t/c', '@a,1 @b,2', { stream: `${origin.guid}:${flagsThen}`, ...more });

  it('edge case 30: is sent with large blocks if it was received with them', () => {
    expect(flags({ from: [back('large-block,compressed')], onto: [origin] })).toBe('large-block,compressed');
    expect(flags({ from: [back('large-block')], onto: [origin], wish: { largeBlock: false } })).toBe('UNSUPPORTED');
  });

  it('edge case 30: is not sent with large blocks if its own were split, which would damage files (openzfs#6224)', () => {
    expect(flags({ from: [back('compressed')], onto: [origin] })).toBe('compressed');
    const asked = { from: [back('')], onto: [origin], wish: { largeBlock: true } };
    expect(flags(asked)).toBe('UNSUPPORTED');
    expect(message(asked)).toEqual(mentions('t/c', 'src', '--large-block', 'dst', 'openzfs#6224'));
  });

  it('follows the target’s own mark if there is one, and no mark of another dataset', () => {
    const both = { from: [back('large-block')], onto: onto(mark('')) };
    expect(flags(both)).toBe('-');
    expect(flags({ from: [back('large-block')], onto: [dataset('p/c', '@a,1', { guid: '77' })] })).toBe('compressed');
  });

  it('is raw if it was received raw', () => {
    const coming = back('raw', { ...open });
    expect(flags({ from: [coming], onto: [dataset('p/c', '@a,1', open)] })).toBe('raw');
    expect(flags({ from: [coming], onto: [dataset('p/c', '@a,1', open)], wish: { raw: false } })).toBe('UNSUPPORTED');
  });
});

describe('raw and plain do not mix (openzfs#12014)', () => {
  const plain = onto({});
  const raw = onto({ ...open, ...mark('raw', secret.guid) });
  const plainUnderKey = onto({ ...open, ...mark('compressed', secret.guid) });

  it('an unencrypted dataset on the target is sent plain, and raw is refused', () => {
    expect(flags({ from: [secret], onto: plain })).toBe('compressed');
    expect(flags({ from: [secret], onto: plain, wish: { raw: true } })).toBe('UNSUPPORTED');
    expect(message({ from: [secret], onto: plain, wish: { raw: true } })).toEqual(
      mentions('t/c', 'src', 'p/c', 'dst', '--raw'),
    );
  });

  it('edge case 8: a dataset that was received raw is sent raw, and plain is refused', () => {
    expect(flags({ from: [secret], onto: raw })).toBe('raw');
    expect(flags({ from: [secret], onto: raw, wish: { raw: false } })).toBe('UNSUPPORTED');
    expect(flags({ from: [secret], onto: onto(locked), wish: { raw: false } })).toBe('UNSUPPORTED');
  });

  it('a dataset that was received plain below an encrypted one is sent plain', () => {
    expect(flags({ from: [secret], onto: plainUnderKey })).toBe('compressed');
    expect(flags({ from: [secret], onto: plainUnderKey, wish: { raw: true } })).toBe('UNSUPPORTED');
  });

  it('ZFS’s own record of the newest snapshot decides, before the note', () => {
    const [one, two] = [{ ivset: '71' }, { ivset: '72' }];
    const held = (ivset: { ivset: string }) => dataset('x', '@a,1').snapshots.map((entry) => ({ ...entry, ...ivset }));
    const from = [{ ...secret, snapshots: [...held(one), ...dataset('x', '@b,2').snapshots] }];
    const began = (flag: string, ivset: { ivset: string }) =>
      onto({ ...open, ...mark(flag, secret.guid), snapshots: held(ivset) });
    expect(flags({ from, onto: began('compressed', one) })).toBe('raw');
    expect(flags({ from, onto: began('raw', two) })).toBe('-');
    expect(flags({ from, onto: began('raw', two), wish: { raw: true } })).toBe('UNSUPPORTED');
  });

  it('a stream of unknown kind is raw, which zfs refuses without harm; or as requested', () => {
    expect(flags({ from: [secret], onto: onto(open) })).toBe('raw');
    expect(flags({ from: [secret], onto: onto(open), wish: { raw: false } })).toBe('compressed');
  });
});

describe('keys', () => {
  it('raw needs none, on either side', () => {
    const shut = dataset('t/c', '@a,1 @b,2', locked);
    expect(flags({ from: [shut], onto: onto({ ...locked, ...mark('raw', shut.guid) }) })).toBe('raw');
  });

  it('plain needs both', () => {
    expect(flags({ from: [dataset('t/c', '@a,1', locked)], wish: { raw: false } })).toBe('KEY_REQUIRED');
    const shut = onto({ ...locked, ...mark('', secret.guid) });
    expect(flags({ from: [secret], onto: shut })).toBe('KEY_REQUIRED');
    expect(flags({ onto: onto(locked) })).toBe('KEY_REQUIRED');
  });
});

describe('a contradicting request is refused', () => {
  test.each<[StreamWish]>([[{ largeBlock: false }], [{ embed: false }], [{ compressed: false }]])(
    'raw with %o',
    (wish) => {
      expect(flags({ from: [secret], wish })).toBe('BAD_REQUEST');
      expect(flags({ from: [secret], wish: { ...wish, raw: false } })).not.toBe('BAD_REQUEST');
      expect(flags({ wish: { ...wish, raw: true } })).toBe('BAD_REQUEST');
    },
  );

  it('properties of an encrypted dataset that is not raw, as zfs requires', () => {
    expect(flags({ from: [secret], wish: { props: true, raw: false } })).toBe('BAD_REQUEST');
    expect(flags({ wish: { props: true, raw: false } })).toBe('large-block,compressed,props');
  });
});

describe('a clone', () => {
  const origin = { name: 't/o@a', guid: '1' };
  const clone = dataset('t/c', '@b,2', { origin });
  const secretClone = dataset('t/c', '@b,2', { ...open, origin });

  it('takes the flags of its origin’s chain', () => {
    const began = { stream: '55:large-block' };
    expect(flags({ from: [clone], onto: [dataset('p/o', '@a,1', began)] })).toBe('large-block');
    expect(flags({ from: [clone], onto: [dataset('p/o', '@a,1')] })).toBe('compressed');
    expect(flags({ from: [clone], onto: [dataset('p/o', '@a,1', began)], wish: { largeBlock: false } })).toBe(
      'UNSUPPORTED',
    );
  });

  it('starts without properties, which would make zfs choose its origin, and continues with them', () => {
    const two = dataset('t/c', '@b,2 @d,3', { origin });
    const made = planned({ from: [two], onto: [dataset('p/o', '@a,1')], wish: { props: true } });
    expect(made.ok && made.steps.map((step) => step.flags)).toEqual([['compressed'], ['compressed', 'props']]);
  });

  it('ignores a mark that its origin inherits', () => {
    const began = { stream: '55:large-block' };
    const place = [dataset('p/x', '', began), dataset('p/x/o', '@a,1', began)];
    expect(flags({ from: [clone], onto: place })).toBe('compressed');
  });

  it('is raw exactly if its origin is', () => {
    expect(flags({ from: [secretClone], onto: [dataset('p/o', '@a,1', locked)] })).toBe('raw');
    expect(flags({ from: [secretClone], onto: [dataset('p/o', '@a,1')] })).toBe('UNSUPPORTED');
    expect(flags({ from: [secretClone], onto: [dataset('p/o', '@a,1')], wish: { raw: true } })).toBe('UNSUPPORTED');
    expect(flags({ from: [secretClone], onto: [dataset('p/o', '@a,1')], wish: { raw: false } })).toBe('compressed');
  });

  it('of an origin in the same plan has its flags', () => {
    const tree = [
      dataset('t/c', '@s,9', open),
      dataset('t/c/o', '@a,1', open),
      dataset('t/c/x', '@b,2', { ...open, origin: { name: 't/c/o@a', guid: '1' } }),
    ];
    const made = planned({ from: tree, package: true });
    expect(
      made.ok && made.steps.map(({ targetDataset, flags: of, record }) => [targetDataset, of, record?.split(':')[1]]),
    ).toEqual([
      ['p/c', ['raw'], 'raw'],
      ['p/c/o', ['raw'], 'raw'],
      ['p/c/x', ['raw'], 'raw'],
    ]);
  });
});

describe('encryption roots of a raw package (openzfs#15687)', () => {
  const tree = [
    dataset('t/c', '@a,1', { ...open, encryptionRoot: 't/c' }),
    dataset('t/c/kid', '@a,2', { ...open, encryptionRoot: 't/c' }),
    dataset('t/c/own', '@a,3', { ...open, encryptionRoot: 't/c/own' }),
  ];

  it('edge case 10: are noted for datasets that inherit their key from another one of the package, with the commands to fix it', () => {
    const made = planned({ from: tree, package: true });
    const notes = made.ok ? (made.notes ?? []) : [];
    expect(notes.map(({ kind, dataset: of }) => [kind, of])).toEqual([['encryption-root', 't/c/kid']]);
    expect(notes[0]?.message).toEqual(mentions('zfs load-key p/c; zfs load-key p/c/kid; zfs change-key -i p/c/kid'));
  });

  it('are not noted again, nor for streams that are not raw', () => {
    const there = tree.map(({ name, guid, snapshots }) =>
      dataset(name.replace('t', 'p'), '', { ...locked, snapshots, stream: `${guid}:raw` }),
    );
    const more = tree.map((one) => ({
      ...one,
      snapshots: [...one.snapshots, ...dataset('x', `@b,${one.name.length}0`).snapshots],
    }));
    const again = planned({ from: more, onto: there, package: true });
    expect(again.ok && [again.steps.length, again.notes]).toEqual([3, undefined]);
    const plain = planned({ from: tree, package: true, wish: { raw: false } });
    expect(plain.ok && plain.notes?.map(({ kind }) => kind)).toEqual(['in-the-clear', 'in-the-clear', 'in-the-clear']);
  });
});

describe('zfs’s own names', () => {
  it('flags become its options, in one order', () => {
    expect(streamFlagArgv(['props', 'compressed', 'embed', 'large-block'])).toEqual(['-L', '-e', '-c', '-p']);
    expect(streamFlagArgv(['raw'])).toEqual(['-w']);
  });

  it('features are those in the requested states', () => {
    const said =
      'p\tsize\t1\np\tfeature@large_blocks\tenabled\np\tfeature@zstd_compress\tdisabled\np\tfeature@async_destroy\tactive\n';
    const both = `${said}q\tfeature@encryption\tactive\n`;
    expect(parseFeatures(both, ['enabled', 'active'])).toEqual({ p: ['large_blocks'], q: ['encryption'] });
    expect(parseFeatures(both, ['active'])).toEqual({ p: [], q: ['encryption'] });
  });
});
