import { describe, expect, test } from 'vitest';
import {
  deliveriesOf,
  inboxPrefix,
  permissionsOf,
  viewerInboxPrefix,
  viewerPermissions,
} from '../../../../lib/bus/permissions.ts';
import { askerOf } from '../../../../lib/bus/rpc/asker.ts';
import { jetStreamDomainSchema } from '../../../../schemas/names.ts';

test('a viewer may ask and read, and say nothing that changes anything', () => {
  const { publish } = viewerPermissions('looker');
  for (const subject of publish) {
    expect(subject).toMatch(
      /^(zfs\.\*\.(info|snapshots)(\.|$)|\$SRV\.>$|\$JS\.API\.(INFO$|STREAM\.(INFO|NAMES|MSG\.GET)))/,
    );
  }
});

test('a viewer’s answers come where it is not taken for the host of its name, and what it is delivered under that name', () => {
  expect(viewerPermissions('looker').subscribe).toContain('_INBOX.looker.viewer.>');
  expect(viewerPermissions('looker').subscribe).not.toContain('_INBOX.looker.>');
  expect(deliveriesOf(viewerInboxPrefix('looker'), 'alfa')).toBe('_DELIVER.looker');
  const asker = (inboxes: string) =>
    askerOf({ self: { host: 'looker', machine: {} }, options: { inboxPrefix: inboxes } });
  expect([asker(viewerInboxPrefix('looker')), asker(inboxPrefix('looker'))]).toEqual([undefined, 'looker']);
});

describe('a receiver that fetches from stores in another JetStream domain', () => {
  const { publish } = permissionsOf('dst', { sender: false, receiver: true, from: ['src'], domain: 'hub' });

  test('may do there just what reading takes, and say what became of it', () => {
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

  test('reads no store of its own server’s domain', () => {
    expect(publish.filter((subject) => /^\$JS\.API\..*OBJ_/.test(subject))).toEqual([]);
  });
});

test.each(['', '*', '>', 'a.b', 'hub.>', 'a b', '$SYS', 'x'.repeat(65)])('%j is no JetStream domain', (domain) => {
  expect(jetStreamDomainSchema.safeParse(domain).success).toBe(false);
});
