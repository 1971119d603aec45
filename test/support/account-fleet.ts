import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nkeys } from '@nats-io/transport-node';
import { execa } from 'execa';
import { stringify } from 'yaml';
import { inboxPrefix, viewerInboxPrefix } from '../../lib/bus/permissions.ts';
import { program } from './program.ts';

/** What a fleet's file has of a host, except its key. */
export interface FleetHostInput {
  roles?: ('sender' | 'receiver')[];
  from?: string[];
  site?: string;
}

export interface AccountFleet {
  readonly folder: string;
  /** The fleet's file. */
  readonly file: string;
  /** By host, viewer or admin: the identity in its environment. */
  readonly env: Readonly<Record<string, NodeJS.ProcessEnv>>;
  /** By server: what the command prints for it. */
  readonly configs: Readonly<Record<string, string>>;
  remove(): Promise<void>;
}

export interface FleetInput {
  readonly hosts: Readonly<Record<string, FleetHostInput>>;
  readonly servers?: readonly { name: string; address: string }[];
  readonly sites?: readonly { name: string; address: string }[];
  /** More of the file, which lies in that folder. */
  readonly more?: (folder: string) => Readonly<Record<string, unknown>>;
}

/** A fleet with keys that are made here, an admin `ops` and a viewer `looker`, and what `zpsend deploy accounts` prints for it. */
export async function makeAccountFleet(input: FleetInput): Promise<AccountFleet> {
  const folder = await mkdtemp(join(tmpdir(), 'zpsend-fleet-'));
  const env: Record<string, NodeJS.ProcessEnv> = {};
  const keyOf = async (name: string): Promise<string> => {
    const pair = nkeys.createUser();
    await writeFile(join(folder, `${name}.nk`), pair.getSeed(), { mode: 0o600 });
    env[name] = {
      NATS_NKEY: join(folder, `${name}.nk`),
      ZPSEND_INBOX_PREFIX: name === 'looker' ? viewerInboxPrefix(name) : inboxPrefix(name),
    };
    return pair.getPublicKey();
  };
  const hosts: Record<string, object> = {};
  for (const [name, host] of Object.entries(input.hosts)) {
    const link = host.site === undefined ? {} : { link: await keyOf(`${name}-link`) };
    hosts[name] = { ...host, ...link, nkey: await keyOf(name) };
  }
  const fleet = {
    servers: input.servers ?? [{ name: 'nats-1', address: '127.0.0.1' }],
    sites: input.sites ?? [],
    admins: { ops: { nkey: await keyOf('ops') } },
    viewers: { looker: { nkey: await keyOf('looker') } },
    hosts,
    tls: 'off',
    jetstream: { folder: join(folder, 'jetstream') },
    ...input.more?.(folder),
  };
  const file = join(folder, 'fleet.yaml');
  await writeFile(file, stringify(fleet));
  await execa(process.execPath, [program, 'deploy', 'accounts', file, '--out', folder]);
  const names = [...fleet.servers, ...fleet.sites].map(({ name }) => name);
  const texts = names.map(async (name) => [name, await readFile(join(folder, `${name}.conf`), 'utf8')] as const);
  const configs = Object.fromEntries(await Promise.all(texts));
  return { folder, file, env, configs, remove: () => rm(folder, { recursive: true, force: true }) };
}
