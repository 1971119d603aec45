import type { Fleet, FleetHost } from '../../schemas/fleet.ts';
import { adminPermissions, jetStreamPermissions, permissionsOf, viewerPermissions } from '../bus/permissions.ts';
import type { Party } from './links.ts';

/** The account with JetStream and all buckets and streams, without users. */
const jetStreamAccount = 'jetstream';
export const adminsAccount = 'admins';
export const hostAccount = (host: string): string => `host-${host}`;
export const viewerAccount = (name: string): string => `viewer-${name}`;

const rolesOf = ({ roles, from, orders }: FleetHost) => ({
  sender: roles.includes('sender'),
  receiver: roles.includes('receiver'),
  from,
  orders,
});

/** Every account of a fleet. Each account of a host or viewer has one user. */
export const partiesOf = ({ hosts, admins, viewers }: Fleet): Party[] => [
  { account: jetStreamAccount, kind: 'jetstream', permissions: jetStreamPermissions },
  { account: adminsAccount, kind: 'admins', permissions: adminPermissions(Object.keys(admins)) },
  ...Object.keys(viewers).map(
    (name): Party => ({
      account: viewerAccount(name),
      kind: 'viewer',
      permissions: viewerPermissions(name),
    }),
  ),
  ...Object.entries(hosts).map(
    ([host, of]): Party => ({
      account: hostAccount(host),
      kind: 'host',
      host,
      permissions: permissionsOf(host, rolesOf(of)),
    }),
  ),
];
