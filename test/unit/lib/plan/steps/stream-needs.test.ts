import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import type { DatasetPlan } from '../../../../../lib/plan/dataset-plan.ts';
import { beginningBytes, featuresNeeded } from '../../../../../lib/plan/steps/stream-needs.ts';
import type { StreamRequest } from '../../../../../lib/zfs/argv.ts';
import type { ZfsProcess } from '../../../../../lib/zfs/zfs.ts';
import type { Inventory } from '../../../../../schemas/inventory.ts';
import type { Step } from '../../../../../schemas/plan.ts';
import type { SendRequest } from '../../../../../schemas/request.ts';
import { checkStreams } from '../../../../../services/sender/planning/check-streams.ts';
import { manualClock } from '../../../../support/manual-clock.ts';
import { mentions } from '../../../../support/mentions.ts';
import { plan } from '../../../../support/planning.ts';
import { PoolModel } from '../../../../support/pool-model.ts';

/** The first bytes of a stream with this header, as `drr_versioninfo` of OpenZFS 2.3.2 has it. */
function beginning(versionInfo: bigint, isLittle = true): Buffer {
  const bytes = Buffer.alloc(beginningBytes);
  if (isLittle) {
    bytes.writeBigUInt64LE(0x2f5bacbacn, 8);
    bytes.writeBigUInt64LE(versionInfo, 16);
  } else {
    bytes.writeBigUInt64BE(0x2f5bacbacn, 8);
    bytes.writeBigUInt64BE(versionInfo, 16);
  }
  return bytes;
}

describe('the features that a stream needs', () => {
  it.each([
    ['no feature', 0x00000011n, []],
    ['dnodesize=auto', 0x02000011n, ['large_dnode']],
    ['dnodesize=auto, with -c', 0x03080011n, ['lz4_compress', 'large_dnode']],
    ['compression=zstd, with -c', 0x09080011n, ['lz4_compress', 'zstd_compress']],
    ['longname=on', 0x40000011n, ['longname']],
    ['longname=on, with -Lec', 0x410c0011n, ['embedded_data', 'lz4_compress', 'longname'].toSorted()],
  ])('is known from its first bytes: %s', (_what, versionInfo, features) => {
    for (const isLittle of [true, false]) {
      const needed = featuresNeeded(beginning(versionInfo, isLittle));
      expect(needed?.toSorted()).toEqual([...features].toSorted());
    }
  });

  it('are unknown for other data', () => {
    expect(featuresNeeded(Buffer.alloc(beginningBytes))).toBeUndefined();
    expect(featuresNeeded(beginning(0x11n).subarray(0, 23))).toBeUndefined();
  });
});

describe('a plan to a pool that lacks a feature', () => {
  const source = new PoolModel('src', 'zones').run('create zones/a', 'snapshot zones/a@1');
  const basic = ['encryption', 'large_blocks', 'embedded_data', 'lz4_compress', 'zstd_compress'] as const;
  const notesOf = (active: Inventory['active'], features: Inventory['features'], more: Partial<SendRequest> = {}) => {
    const target = new PoolModel('dst', 'tank').inventory();
    const request: SendRequest = { dataset: 'zones/a', to: { host: 'dst', dataset: 'tank/a' }, ...more };
    const made = plan(
      request,
      { ...source.inventory(), ...(active && { active }) },
      { ...target, ...(features && { features }) },
    );
    return made.ok ? (made.notes ?? []) : [];
  };

  it('edge case 39: notes the features that the source’s pool uses, by name, with the command to enable them', () => {
    const notes = notesOf({ zones: ['large_dnode', 'longname', 'large_blocks'] }, { tank: [...basic] });
    expect(notes).toMatchObject([{ kind: 'features', dataset: 'zones/a' }]);
    expect(notes[0]?.message).toEqual(
      mentions('zones', 'src', 'large_dnode', 'longname', 'tank', 'dst', 'zpool set feature@large_dnode=enabled tank'),
    );
  });

  it('has no note if no stream can need a feature, or the features are unknown', () => {
    // without -c a stream is decompressed
    expect(notesOf({ zones: ['zstd_compress'] }, { tank: ['lz4_compress'] })).toEqual([]);
    const compressed = notesOf(
      { zones: ['zstd_compress'] },
      { tank: ['lz4_compress'] },
      { stream: { compressed: true } },
    );
    expect(compressed).toMatchObject([{ kind: 'features' }]);
    expect(notesOf({ zones: ['large_dnode'] }, undefined)).toEqual([]);
    expect(notesOf({ zones: ['large_dnode'] }, { tank: [...basic, 'large_dnode'] })).toEqual([]);
    expect(notesOf({ other: ['large_dnode'] }, { tank: [...basic] })).toEqual([]);
  });
});

describe('streams whose beginning is read', () => {
  const step = (name: string, leaf: string): Step => ({
    type: 'full',
    to: { name: `zones/${name}@${leaf}`, guid: '1' },
    targetDataset: `tank/${name}`,
    flags: ['compressed', 'props'],
  });
  const chain = (name: string, ...leaves: string[]): DatasetPlan => ({
    sourceDataset: `zones/${name}`,
    targetDataset: `tank/${name}`,
    steps: leaves.map((leaf) => step(name, leaf)),
  });
  const checked = async (headers: Record<string, Buffer>, ...chains: DatasetPlan[]) => {
    const asked: StreamRequest[] = [];
    let running = 0;
    const send = (request: StreamRequest): ZfsProcess => {
      asked.push(request);
      running += 1;
      const to = 'to' in request ? request.to : '';
      const stdout = Readable.from(
        [headers[to]?.subarray(0, 10), headers[to]?.subarray(10)].filter((part) => part?.length),
      );
      const kill = () => {
        running -= 1;
      };
      return { pid: 1, stdin: process.stdout, stdout, done: Promise.resolve([]), kill };
    };
    const result = await checkStreams(
      { zfs: { send }, clock: manualClock() },
      chains,
      ['large_dnode', 'zstd_compress'],
      'dst',
    );
    expect(running, 'every zfs send is ended').toBe(0);
    return { ...result, asked };
  };
  const plain = beginning(0x00000011n);
  const dnode = beginning(0x02000011n);

  it('a dataset whose first stream needs a missing feature is refused, with the feature’s name', async () => {
    const headers = { 'zones/a@1': dnode, 'zones/b@1': plain };
    const { refused, notes, isComplete, asked } = await checked(
      headers,
      chain('a', '1', '2'),
      chain('b', '1'),
      chain('c'),
    );
    expect([...refused].map(([target, { code, details }]) => [target, code, details?.features])).toEqual([
      ['tank/a', 'UNSUPPORTED', ['large_dnode']],
    ]);
    expect([notes, isComplete]).toEqual([[], true]);
    // a compound stream's own header lacks the flags
    expect(asked.map((one) => 'flags' in one && one.flags)).toEqual([['compressed'], ['compressed']]);
  });

  it('a dataset whose last stream needs one gets a note, since the earlier ones arrive', async () => {
    const { refused, notes } = await checked({ 'zones/a@1': plain, 'zones/a@3': dnode }, chain('a', '1', '2', '3'));
    expect(refused.size).toBe(0);
    expect(notes).toMatchObject([{ kind: 'features', dataset: 'zones/a' }]);
    expect(notes[0]?.message).toEqual(mentions('zones/a@3', 'large_dnode'));
  });

  it('a stream that cannot be read leaves the need unknown', async () => {
    expect(await checked({}, chain('a', '1'))).toMatchObject({ refused: new Map(), notes: [], isComplete: false });
  });
});
