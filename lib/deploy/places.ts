import type { Fleet, FleetHost } from '../../schemas/fleet.ts';
import { type Link, linksOf, type Party } from './links.ts';

/** What the fleet's file says of a party that is a host. */
export const ownHost = (fleet: Fleet, { host }: Party): FleetHost | undefined =>
  host === undefined ? undefined : fleet.hosts[host];

/** The leaf site of a party; undefined in the middle. */
export const siteOf = (fleet: Fleet, party: Party): string | undefined => ownHost(fleet, party)?.site;

/** The accounts that reach the servers in the middle through a leaf connection. */
export const accountsAtSites = (fleet: Fleet, parties: readonly Party[]): string[] =>
  parties.filter((party) => siteOf(fleet, party) !== undefined).map(({ account }) => account);

/**
 * Which links are made at which server: what two hosts of one site have to say to each other stays there, everything else meets at the
 * servers in the middle. No link is made twice, since a message would then come twice.
 * @param site undefined for the servers in the middle
 */
export function linksAt(fleet: Fleet, parties: readonly Party[], site: string | undefined): Link[] {
  const sites = new Map(parties.map((party) => [party.account, siteOf(fleet, party)]));
  const placeOf = ({ from, to }: Link) => (sites.get(from) === sites.get(to) ? sites.get(from) : undefined);
  return linksOf(parties).filter((link) => placeOf(link) === site);
}
