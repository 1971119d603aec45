import type { Fleet, FleetHost } from '../../schemas/fleet.ts';
import { type Link, linksOf, type Party } from './links.ts';

/** The entry in the fleet file of a party that is a host. */
export const fleetHostOf = (fleet: Fleet, { host }: Party): FleetHost | undefined =>
  host === undefined ? undefined : fleet.hosts[host];

/** The leaf site of a party; undefined at the central servers. */
export const siteOf = (fleet: Fleet, party: Party): string | undefined => fleetHostOf(fleet, party)?.site;

/** The accounts that reach the central servers through a leaf connection. */
export const accountsAtSites = (fleet: Fleet, parties: readonly Party[]): string[] =>
  parties.filter((party) => siteOf(fleet, party) !== undefined).map(({ account }) => account);

/**
 * The links of one server: links between two hosts of one site are at the site's server, and all others at the central servers. No link
 * is at two servers, because each message would then arrive twice.
 * @param site undefined for the central servers
 */
export function linksAt(fleet: Fleet, parties: readonly Party[], site: string | undefined): Link[] {
  const sites = new Map(parties.map((party) => [party.account, siteOf(fleet, party)]));
  const siteOfLink = ({ from, to }: Link) => (sites.get(from) === sites.get(to) ? sites.get(from) : undefined);
  return linksOf(parties).filter((link) => siteOfLink(link) === site);
}
