import { describe, expect, test } from 'vitest';
import {
  deliveryPrefixOf,
  inboxPrefix,
  permissionsOf,
  viewerInboxPrefix,
  viewerPermissions,
} from '../../../../lib/bus/permissions.ts';
import { askerOf } from '../../../../lib/bus/rpc/asker.ts';
import { jetStreamDomainSchema } from '../../../../schemas/names.ts';

test('a viewer may only request listings and read buckets', () => {
  const { publish } = viewerPermissions('watcher');
  for (const subject of publish) {
    expect(subject).toMatch(
      /^(zfs\.\*\.(info|snapshots)(\.|$)|\$SRV\.>$|\$JS\.API\.(INFO$|STREAM\.(INFO|NAMES|MSG\.GET)))/,
    );
  }
});

test('a viewer’s inbox prefix differs from that of the host with its name; its delivery prefix does not', () => {
  expect(viewerPermissions('watcher').subscribe).toContain('_INBOX.watcher.viewer.>');
  expect(viewerPermissions('watcher').subscribe).not.toContain('_INBOX.watcher.>');
  expect(deliveryPrefixOf(viewerInboxPrefix('watcher'), 'alfa')).toBe('_DELIVER.watcher');
  const asker = (inboxes: string) =>
    askerOf({ self: { host: 'watcher', machine: {} }, options: { inboxPrefix: inboxes } });
  expect([asker(viewerInboxPrefix('watcher')), asker(inboxPrefix('watcher'))]).toEqual([undefined, 'watcher']);
});

describe('a receiver that fetches from stores in another JetStream domain', () => {
  const { publish } = permissionsOf('dst', { sender: false, receiver: true, from: ['src'], domain: 'hub' });

  test('may only read there, and write its delivery receipts', () => {
    expect(publish.filter((subject) => subject.startsWith('$JS.hub.')).sort()).toEqual([
      '$JS.hub.API.$KV.zfs-status.dst.delivered.*.>',
      '$JS.hub.API.CONSUMER.CREATE.OBJ_zfs-streams-src.>',
      '$JS.hub.API.CONSUMER.DELETE.OBJ_zfs-streams-src.*',
      '$JS.hub.API.CONSUMER.INFO.OBJ_zfs-streams-src.*',
      '$JS.hub.API.INFO',
      '$JS.hub.API.STREAM.INFO.*',
      '$JS.hub.API.STREAM.MSG.GET.KV_zfs-status',
      '$JS.hub.API.STREAM.MSG.GET.OBJ_zfs-streams-src',
      '$JS.hub.API.STREAM.NAMES',
    ]);
  });

  test('may not read stores in the domain of its server', () => {
    expect(publish.filter((subject) => /^\$JS\.API\..*OBJ_/.test(subject))).toEqual([]);
  });
});

test.each(['', '*', '>', 'a.b', 'hub.>', 'a b', '$SYS', 'x'.repeat(65)])('%j is not a JetStream domain', (domain) => {
  expect(jetStreamDomainSchema.safeParse(domain).success).toBe(false);
});
