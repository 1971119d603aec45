import { expect, test } from 'vitest';
import { type Held, lossOf } from '../../../../../lib/bus/setup/loss.ts';
import { differencesOf, natsCommand, wantedStreams } from '../../../../../lib/bus/setup/wanted.ts';
import { bucketBoundsSchema } from '../../../../../schemas/fleet.ts';

const bounds = bucketBoundsSchema.parse({});
const wanted = wantedStreams(bounds, ['alfa'], 3);
const [locks] = wanted;
if (!locks) throw new Error('locks');

test('every bucket and stream has bounds', () => {
  expect(wanted.map(({ called }) => called)).toEqual([
    'zfs-locks',
    'zfs-status',
    'zfs-hosts',
    'zfs-policies',
    'ZFS_EVENTS',
    'zfs-streams-alfa',
  ]);
  for (const { kind, config } of wanted) {
    expect([config.name, config.max_bytes > 0]).toEqual([config.name, true]);
    if (kind !== 'object') expect([config.name, config.max_msg_size > 0]).toEqual([config.name, true]);
  }
});

test('a stream with the wanted configuration does not differ, in any form of an unlimited value', () => {
  for (const { config } of wanted) expect(differencesOf(config, config)).toEqual([]);
  const status = wanted[1]?.config;
  if (!status) throw new Error('status');
  expect(differencesOf(status, { ...status, max_age: -1 })).toEqual([]);
});

test.each([
  ['max_bytes', -1, true],
  ['max_bytes', 1, false],
  ['max_msg_size', -1, true],
  ['max_age', 0, true],
  ['max_age', 1e9, false],
  ['max_msgs_per_subject', 5, true],
  ['num_replicas', 5, true],
  ['num_replicas', 1, false],
] as const)('%s %d is told; that it would hold less: %s', (field, found, narrows) => {
  expect(differencesOf(locks.config, { ...locks.config, [field]: found })).toEqual([
    { field, found, wanted: locks.config[field], narrows },
  ]);
});

test.each([
  ['allow_rollup_hdrs', true, true],
  ['deny_delete', false, false],
  ['deny_purge', false, false],
  ['deny_purge', undefined, false],
] as const)('locks with %s %s are not as wanted', (field, given, found) => {
  expect(differencesOf(locks.config, { ...locks.config, [field]: given })).toEqual([
    { field, found, wanted: locks.config[field], narrows: false },
  ]);
});

test('other streams that deny a purge are not changed', () => {
  const status = wanted[1]?.config;
  if (!status) throw new Error('status');
  expect(differencesOf(status, { ...status, deny_purge: true, allow_rollup_hdrs: false })).toEqual([]);
});

test('the printed configuration has every bound', () => {
  expect(natsCommand(locks)).toBe(
    "nats stream add KV_zfs-locks --subjects '$KV.zfs-locks.>' --defaults --storage file --discard new --allow-direct --no-allow-rollup --deny-delete --deny-purge --max-msgs-per-subject 1 --max-age 30s --max-msg-size 65536 --max-bytes 268435456 --replicas 3 --description 'zpsend: who receives into which dataset'",
  );
  expect(wanted.map(natsCommand).at(-1)).toBe(
    "nats object add zfs-streams-alfa --ttl 604800s --max-bucket-size 17179869184 --replicas 3 --description 'zpsend: streams of alfa that wait for their targets'",
  );
});

const now = Date.parse('2026-01-02T00:00:00Z');
const [store, events] = [wanted.at(-1), wanted.at(-2)];
if (!store || !events) throw new Error('store');
const day = { messages: 3, bytes: 1000, first_ts: '2026-01-01T00:00:00Z' };
test.each<[string, typeof locks, Partial<typeof locks.config>, Partial<Held>, string | undefined]>([
  ['a store in its bounds', store, { max_age: 86_400e9, max_bytes: 1000 }, {}, undefined],
  ['a store with a byte more', store, { max_bytes: 999 }, {}, 'it holds 1000 bytes, and max_bytes would be 999'],
  ['a store without bounds', store, { max_age: 0, max_bytes: -1 }, {}, undefined],
  [
    'a stream that waits longer',
    store,
    { max_age: 86_399e9 },
    {},
    'its oldest message is 86400 s old, and max_age would be 86399 s',
  ],
  [
    'an empty store',
    store,
    { max_age: 1e9, max_bytes: 1 },
    { messages: 0, first_ts: '0001-01-01T00:00:00Z' },
    undefined,
  ],
  ['an event', events, { max_age: 1e9 }, {}, 'its oldest message is 86400 s old, and max_age would be 1 s'],
  ['an old lock', locks, { max_age: 30e9 }, {}, undefined],
  ['locks with more bytes', locks, { max_bytes: 999 }, {}, 'it holds 1000 bytes, and max_bytes would be 999'],
])('%s', (_, one, bounds, held, loss) => {
  expect(lossOf({ ...one, config: { ...one.config, ...bounds } }, { ...day, ...held }, now)).toBe(loss);
});
