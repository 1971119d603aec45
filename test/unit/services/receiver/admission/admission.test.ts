import { describe, expect, test } from 'vitest';
import { subjects } from '../../../../../lib/bus/subjects.ts';
import { type Code, reasonOf, ZpsendError } from '../../../../../schemas/errors.ts';
import type { ReceiveStart } from '../../../../../schemas/transfer.ts';
import {
  arrivalOf,
  checkAllowed,
  checkAsker,
  checkView,
  namesToInspect,
} from '../../../../../services/receiver/admission/admission.ts';
import type { View } from '../../../../../services/receiver/admission/view.ts';
import { mentions } from '../../../../support/mentions.ts';

const full: ReceiveStart = {
  transfer: 'abc123t1',
  job: 'abc123',
  sourceHost: 'smos-01',
  targetDataset: 'tank/a',
  to: { name: 'zones/test@now', guid: '11' },
  partial: 'resume',
};
const incremental: ReceiveStart = { ...full, from: { guid: '10' } };
const clone: ReceiveStart = { ...incremental, origin: 'tank/o@x' };

const code = (call: () => unknown): Code | 'fine' => {
  try {
    call();
    return 'fine';
  } catch (error) {
    if (error instanceof ZpsendError) return error.code;
    throw error;
  }
};

describe('a request that names its source', () => {
  test.each([
    ['recv.start', subjects.receiveFrom],
    ['recv.check', subjects.receiveCheckFrom],
  ])('%s comes from that source, or is not allowed', (_, subjectOf) => {
    const asks = (subject: string) => code(() => checkAsker({ sourceHost: 'smos-01' }, 'smos-00', subject));
    expect(asks(subjectOf('smos-00', 'smos-01'))).toBe('fine');
    expect(asks(subjectOf('smos-00', 'smos-02'))).toBe('NOT_ALLOWED');
    expect(asks(subjectOf('smos-09', 'smos-01'))).toBe('NOT_ALLOWED');
  });
});

describe('the datasets that a source may write', () => {
  const may = (dataset: string, source: string, allow: { from: string; into: string }[], origin?: string) =>
    code(() =>
      checkAllowed(
        { ...full, targetDataset: dataset, sourceHost: source, ...(origin !== undefined && { origin }) },
        'smos-00',
        { allow },
      ),
    );
  const rule = { from: 'smos-01', into: 'tank/a' };

  test.each([
    ['tank/a', 'fine'],
    ['tank/a/b', 'fine'],
    ['tank/a/b c/d:e', 'fine'],
    ['tank/ab', 'NOT_ALLOWED'],
    ['tank/a-b', 'NOT_ALLOWED'],
    ['tank/a ', 'NOT_ALLOWED'],
    ['tank/A', 'NOT_ALLOWED'],
    ['tank', 'NOT_ALLOWED'],
    ['tank/b', 'NOT_ALLOWED'],
    ['other/tank/a', 'NOT_ALLOWED'],
  ])('below tank/a: %s is %s', (dataset, resultOfJob) => expect(may(dataset, 'smos-01', [rule])).toBe(resultOfJob));

  test('exclude all for a host that no rule names', () => {
    expect(may('tank/a', 'smos-02', [rule])).toBe('NOT_ALLOWED');
    expect(may('tank/a', 'smos-01', [])).toBe('NOT_ALLOWED');
    expect(may('tank/a', 'smos-0', [rule])).toBe('NOT_ALLOWED');
  });

  test('include the datasets of a rule for "*", for every host', () => {
    expect(may('tank/a/b', 'anyone', [{ from: '*', into: 'tank/a' }])).toBe('fine');
    expect(may('tank/b', 'anyone', [{ from: '*', into: 'tank/a' }])).toBe('NOT_ALLOWED');
  });

  test('are the union of its rules', () => {
    const rules = [rule, { from: 'smos-02', into: 'tank/b' }, { from: 'smos-01', into: 'tank/c' }];
    expect(may('tank/c/x', 'smos-01', rules)).toBe('fine');
    expect(may('tank/b/x', 'smos-01', rules)).toBe('NOT_ALLOWED');
  });

  test('cannot be cloned from an origin outside of them', () => {
    expect(may('tank/a/c', 'smos-01', [rule], 'tank/a/o@x')).toBe('fine');
    expect(may('tank/a/c', 'smos-01', [rule], 'tank/ab@x')).toBe('NOT_ALLOWED');
    expect(may('tank/a/c', 'smos-01', [rule], 'secret/o@x')).toBe('NOT_ALLOWED');
  });

  test('are named in the refusal, with the source and the dataset', () => {
    const refused = () => checkAllowed({ ...full, targetDataset: 'tank/b' }, 'smos-00', { allow: [rule] });
    expect(refused).toThrow(
      expect.objectContaining({
        details: { source: 'smos-01', dataset: 'tank/b' },
        message: mentions('smos-01', 'tank/b', 'smos-00', 'tank/a'),
      }),
    );
    expect(() => checkAllowed(full, 'smos-00', { allow: [] })).toThrow(
      expect.objectContaining({ message: mentions('receive.allow', 'ZPSEND_ALLOW') }),
    );
  });
});

describe('the inspection before a receive', () => {
  test('covers the dataset, its missing parents, the snapshot to receive, and the origin', () => {
    expect(arrivalOf(full)).toBe('tank/a@now');
    expect(namesToInspect(full)).toEqual(['tank/a', 'tank/a@now', 'tank']);
    expect(namesToInspect({ ...clone, targetDataset: 'tank/a/b c' })).toEqual([
      'tank/a/b c',
      'tank/a/b c@now',
      'tank',
      'tank/a',
      'tank/o@x',
    ]);
    expect(namesToInspect({ ...full, targetDataset: 'tank' })).toEqual(['tank', 'tank@now']);
    expect(namesToInspect({ ...incremental, targetDataset: 'tank/a/b' })).toEqual(['tank/a/b', 'tank/a/b@now']);
  });
});

const filesystem = (name: string, more: Partial<View> = {}): View => ({ name, type: 'filesystem', guid: '1', ...more });
const snapshot = (name: string, guid: string): View => ({ name, type: 'snapshot', guid });
const anywhere = { allow: [{ from: '*', into: 'tank' }] };
const [tank, there] = [filesystem('tank'), filesystem('tank/a')];
const partial = filesystem('tank/a', { resumeToken: '1-abc' });
const origin = snapshot('tank/o@x', '10');

describe('the target’s state decides about:', () => {
  const sameArrived = snapshot('tank/a@now', '11');
  const otherArrived = snapshot('tank/a@now', '99');

  test.each<[string, ReceiveStart, View[], Code | 'fine']>([
    ['a full stream to a free name', full, [tank], 'fine'],
    ['a full stream into an existing dataset', full, [tank, there], 'EXISTS'],
    ['a full stream that was interrupted', full, [tank, partial], 'fine'],
    ['a full stream into a missing pool', { ...full, targetDataset: 'pond' }, [], 'NO_SUCH_DATASET'],
    ['a full stream below a missing pool', full, [], 'NO_SUCH_DATASET'],
    ['a full stream into a pool itself', { ...full, targetDataset: 'tank' }, [tank], 'EXISTS'],
    ['an incremental onto a dataset', incremental, [tank, there], 'fine'],
    ['an incremental that was interrupted', incremental, [tank, partial], 'fine'],
    ['an incremental without a dataset', incremental, [tank], 'BASE_MISSING'],
    ['a snapshot that has arrived already', incremental, [tank, there, sameArrived], 'EXISTS'],
    ['another snapshot of that name', incremental, [tank, there, otherArrived], 'DIVERGED'],
    ['a clone to a free name', clone, [tank, origin], 'fine'],
    ['a clone that was interrupted', clone, [tank, partial, origin], 'fine'],
    ['a clone into an existing dataset', clone, [tank, there, origin], 'EXISTS'],
    ['a clone without its origin', clone, [tank], 'ORIGIN_MISSING'],
    ['a clone whose origin is another snapshot', clone, [tank, { ...origin, guid: '7' }], 'ORIGIN_MISSING'],
    ['a full stream with a missing origin', { ...full, origin: 'tank/o@x' }, [tank], 'ORIGIN_MISSING'],
    ['a full stream with an origin', { ...full, origin: 'tank/o@x' }, [tank, origin], 'ORIGIN_MISSING'],
  ])('%s', (_what, start, seen, resultOfJob) => {
    expect(code(() => checkView(start, 'smos-00', seen, anywhere))).toBe(resultOfJob);
  });

  test('a reason distinguishes a snapshot that has arrived from one that is in the way', () => {
    const reasonFor = (seen: View[]) => {
      try {
        checkView(incremental, 'smos-00', seen, anywhere);
      } catch (error) {
        return reasonOf(ZpsendError.from(error).toBody());
      }
      return undefined;
    };
    expect(reasonFor([tank, there, sameArrived])).toBe('has-snapshot');
    expect(reasonFor([tank, there, otherArrived])).toBeUndefined();
  });

  test('an interrupted receive returns its token', () => {
    expect(checkView(full, 'smos-00', [tank, partial], anywhere)).toEqual({ token: '1-abc', parents: [] });
    expect(checkView(incremental, 'smos-00', [tank, there], anywhere)).toEqual({ parents: [], type: 'filesystem' });
  });
});

describe('missing parents of a new dataset', () => {
  const deep = { targetDataset: 'tank/back/x y/z', parents: ['tank/back', 'tank/back/x y'] };
  const parents = (seen: View[], into = 'tank', start: ReceiveStart = full) =>
    checkView({ ...start, ...deep }, 'smos-00', seen, { allow: [{ from: 'smos-01', into }] }).parents;

  test('are created from the topmost one down, for a full stream and for a clone', () => {
    expect(parents([tank])).toEqual(['tank/back', 'tank/back/x y']);
    expect(parents([tank, filesystem('tank/back')])).toEqual(['tank/back/x y']);
    expect(parents([tank, filesystem('tank/back'), filesystem('tank/back/x y')])).toEqual([]);
    expect(parents([tank, origin], 'tank', clone)).toEqual(['tank/back', 'tank/back/x y']);
  });

  test('are created only where the source may write; the error names the command for those above', () => {
    expect(parents([tank], 'tank/back')).toEqual(['tank/back', 'tank/back/x y']);
    expect(parents([tank, filesystem('tank/back')], 'tank/back/x y')).toEqual(['tank/back/x y']);
    expect(() => parents([tank], 'tank/back/x y')).toThrow(
      expect.objectContaining({
        code: 'NO_SUCH_DATASET',
        details: { dataset: 'tank/back' },
        message: mentions('smos-00', 'smos-01', 'zfs create -p -o canmount=off "tank/back"'),
      }),
    );
    expect(() => parents([tank], 'tank/back/x y/z')).toThrow(
      expect.objectContaining({ message: mentions('zfs create -p -o canmount=off "tank/back/x y"') }),
    );
  });

  test('are created only if the plan created them', () => {
    const gone = { ...full, parents: ['tank/back'] };
    const there = [tank, filesystem('tank/back')];
    const start = (seen: View[]) => checkView({ ...gone, targetDataset: 'tank/back/x/y' }, 'smos-00', seen, anywhere);
    expect(() => start(there)).toThrow(
      expect.objectContaining({
        code: 'NO_SUCH_DATASET',
        details: { dataset: 'tank/back/x', reason: 'parent-not-planned' },
      }),
    );
    expect(start([...there, filesystem('tank/back/x')]).parents).toEqual([]);
  });

  test('are not created by another source’s rules', () => {
    const allow = [
      { from: 'smos-02', into: 'tank' },
      { from: 'smos-01', into: 'tank/back' },
    ];
    const below = (dataset: string) =>
      code(() => checkView({ ...full, targetDataset: dataset, parents: ['tank/back'] }, 'smos-00', [tank], { allow }));
    expect(below('tank/back/x')).toBe('fine');
    expect(below('tank/else/x')).toBe('NO_SUCH_DATASET');
  });

  test('are not created in a missing pool', () => {
    expect(() => parents([])).toThrow(
      expect.objectContaining({
        code: 'NO_SUCH_DATASET',
        details: { dataset: 'tank' },
        message: mentions('tank', 'smos-00'),
      }),
    );
  });

  test('are not created below a volume, and no dataset is received there', () => {
    const volume = filesystem('tank/back', { type: 'volume' });
    expect(() => parents([tank, volume])).toThrow(
      expect.objectContaining({ code: 'UNSUPPORTED', details: { dataset: deep.targetDataset, above: 'tank/back' } }),
    );
    const below = () => checkView({ ...full, targetDataset: 'tank/back/x' }, 'smos-00', [tank, volume], anywhere);
    expect(code(below)).toBe('UNSUPPORTED');
  });

  const locked = filesystem('tank/back', { keystatus: 'unavailable' });

  test('are not created below an encrypted dataset without its key; the nearest existing dataset decides', () => {
    expect(() => parents([tank, locked])).toThrow(
      expect.objectContaining({
        code: 'KEY_REQUIRED',
        details: { dataset: deep.targetDataset, above: 'tank/back' },
        message: mentions('tank/back/x y', 'smos-00', 'zfs load-key'),
      }),
    );
    expect(parents([tank, { ...locked, keystatus: 'available' }])).toEqual(['tank/back/x y']);
    expect(parents([{ ...tank, keystatus: 'unavailable' }, filesystem('tank/back')])).toEqual(['tank/back/x y']);
  });

  test('need the key of their parent, as a new dataset and an existing one do', () => {
    const below = (start: ReceiveStart, ...seen: View[]) =>
      checkView({ ...start, targetDataset: 'tank/back/x' }, 'smos-00', [tank, locked, ...seen], anywhere);
    expect(() => below(full)).toThrow(
      expect.objectContaining({
        code: 'KEY_REQUIRED',
        details: { dataset: 'tank/back/x', above: 'tank/back' },
      }),
    );
    // a raw stream brings its own key; only a parent that is created for it needs one
    expect(code(() => below({ ...full, raw: true }))).toBe('fine');
    expect(
      code(() =>
        checkView(
          { ...full, targetDataset: 'tank/back/m/x', parents: ['tank/back/m'], raw: true },
          'smos-00',
          [tank, locked],
          anywhere,
        ),
      ),
    ).toBe('KEY_REQUIRED');
    expect(code(() => below(clone, origin))).toBe('KEY_REQUIRED');
    const sealed = { keystatus: 'unavailable' } as const;
    expect(code(() => below(incremental, filesystem('tank/back/x', sealed)))).toBe('KEY_REQUIRED');
    expect(code(() => below(full, filesystem('tank/back/x', { ...sealed, resumeToken: '1-abc' })))).toBe(
      'KEY_REQUIRED',
    );
  });
});

describe('partial state that a sender wants to discard', () => {
  const dropping = { ...full, partial: 'discard', record: '7:' } as const;
  const left = (stream?: string) =>
    filesystem(full.targetDataset, { resumeToken: '1-abc', ...(stream !== undefined && { stream }) });
  const above = (stream?: string) =>
    filesystem(
      full.targetDataset.slice(0, full.targetDataset.lastIndexOf('/')),
      stream === undefined ? {} : { stream },
    );

  test('is kept if another dataset’s seed left it', () => {
    expect(code(() => checkView(dropping, 'smos-00', [above(), left('4711:')], anywhere))).toBe('EXISTS');
  });

  test('is discarded if it belongs to this dataset, has no mark, or an inherited mark', () => {
    for (const seen of [
      [above(), left('7:raw')],
      [above(), left()],
      [above('4711:'), left('4711:')],
    ])
      expect(checkView(dropping, 'smos-00', seen, anywhere)).toMatchObject({ token: '1-abc' });
  });
});
