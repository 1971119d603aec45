import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { expect, test } from 'vitest';
import { createZfs } from '../../lib/zfs/zfs.ts';
import { leafOf } from '../../schemas/names.ts';
import type { ReceiveStart } from '../../schemas/transfer.ts';
import { receiveProperties } from '../../services/receiver/admission/properties.ts';
import { lab, MIB } from '../contract/zfs-under-test.ts';
import { brought, carryAway, comesFrom, goesTo, guidsBelow } from './carried.ts';

const z = lab(512 * MIB);
const zfs = createZfs({ host: 'here', env: z.env });
const carried = comesFrom === undefined ? undefined : brought(comesFrom);
const properties = { set: { readonly: 'on' }, exclude: [] };

test('streams of another release arrive, equal, and their chains continue', async () => {
  if (!carried) throw new Error('test/openzfs-vm/across runs this, and names the folder of the streams');
  const root = `${z.target}/tree`;
  const here = (name: string): string => name.replace(carried.into, root);
  for (const [index, step] of carried.steps.entries()) {
    const start: ReceiveStart = {
      ...{
        transfer: 'carried1',
        job: 'carried',
        sourceHost: 'smos-01',
        targetDataset: here(step.targetDataset),
        to: step.to,
      },
      ...{ partial: 'resume', ...(step.flags?.includes('raw') && { raw: true }) },
      ...(step.from && { from: { guid: step.from.guid } }),
      ...(step.record !== undefined && { record: step.record }),
      ...(step.volume && { volume: true }),
    };
    const child = zfs.receive({
      dataset: start.targetDataset,
      snapshot: leafOf(step.to.name) ?? '',
      ...(step.origin !== undefined && { origin: here(step.origin) }),
      ...receiveProperties(start, step.volume ? 'volume' : 'filesystem', properties),
    });
    await pipeline(carried.stream(index), child.stdin);
    expect(await child.done, step.to.name).toEqual([]);
  }
  expect(guidsBelow(z, root)).toEqual(carried.guids);
  expect(z.value('origin', `${root}/clone`)).toBe(`${root}/large@2`);
  // a dataset that is sent raw alone is its own encryption root, until zfs change-key -i
  const secret = [`${root}/enc`, `${root}/enc/kid`];
  for (const name of secret) {
    expect([z.value('keystatus', name), z.value('encryptionroot', name)]).toEqual(['unavailable', name]);
  }

  // it is sent on as it is: no key is loaded here
  const features = (await zfs.poolFacts(z.target))?.features[z.target];
  await carryAway(z, zfs, root, { features, digests: carried.digests, guids: carried.guids });

  const key = join(tmpdir(), 'across-key');
  writeFileSync(key, '12345678\n');
  for (const name of secret) z.ok('load-key', '-L', `file://${key}`, name);
  for (const [name, digest] of Object.entries(carried.digests)) {
    expect(z.digest(`${root}${name}`), name).toBe(digest);
  }
  expect(goesTo).not.toBe('/nowhere');
});
