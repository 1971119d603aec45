import type { z } from 'zod';
import { datasetOf, datasetOrSnapshotSchema, datasetSchema, hostSchema } from '../../schemas/names.ts';
import { usage } from '../exit-codes.ts';

/**
 * `HOST:DATASET`. A colon ends a host only before any `/`, `@` or `#`, so names such as `zones/a:b` and `zones/a@2024:1`
 * need no host. An empty host is this host, for pools with a colon in their name: `:my:pool/data`.
 */
function split(text: string): { host: string | undefined; rest: string } {
  const colon = /^[^/@#:]*:/.exec(text)?.[0].length ?? 0;
  return colon > 0 ? { host: text.slice(0, colon - 1), rest: text.slice(colon) } : { host: undefined, rest: text };
}

function hostOf(host: string | undefined, text: string, thisHost: string): string {
  if (!host) return thisHost;
  if (hostSchema.safeParse(host).success) return host;
  const dashed = host.replaceAll('.', '-');
  const meant = hostSchema.safeParse(dashed).success ? ` Did you mean ${dashed}?` : '';
  throw usage(
    `"${host}" in "${text}" is not a host: letters, digits, "_" and "-" only.${meant} ` +
      `If it is a pool on this host, put a colon before it: ":${text}".`,
  );
}

function checked<S extends z.ZodType>(schema: S, name: string, text: string): z.output<S> {
  const parsed = schema.safeParse(name);
  if (parsed.success) return parsed.data;
  throw usage(`"${name}"${name === text ? '' : ` in "${text}"`}: ${parsed.error.issues[0]?.message}${slashHint(name)}`);
}

/** A path where a dataset is expected (sanoid#1053). */
function slashHint(name: string): string {
  if (name.startsWith('/'))
    return `. The name of a dataset has no leading slash; zfs list -o name ${name} on its host prints it`;
  return name.endsWith('/') ? '. Remove the slash at its end' : '';
}

/** `root@smos-00:zones/test`, as for ssh. @throws ZpsendError BAD_REQUEST */
function refuseUser(text: string): void {
  const [, host, rest = ''] = /^[^/@:#]+@([^/@:#]+):(.*)$/s.exec(text) ?? [];
  if (host === undefined) return;
  const meant = `${host.replaceAll('.', '-')}${rest === '' ? '' : `:${rest}`}`;
  throw usage(`"${text}": zpsend uses NATS, not ssh, so a host has no user: write ${meant}`);
}

/** A host name. @throws ZpsendError BAD_REQUEST */
export function parseHost(text: string): string {
  if (hostSchema.safeParse(text).success) return text;
  throw usage(`"${text}" is not a host: letters, digits, "_" and "-" only`);
}

/** What is sent: `[SRC:]DATASET[@SNAP]`. @throws ZpsendError BAD_REQUEST */
export function parseSource(text: string, thisHost: string): { host: string; dataset: string } {
  const { host, rest } = split(text);
  if (rest === '') throw usage(`"${text}" names no dataset: write ${text}pool/dataset`);
  // the name of a snapshot may look like this, but has no slash
  if (host === undefined && !datasetOrSnapshotSchema.safeParse(rest).success) refuseUser(text);
  return { host: hostOf(host, text, thisHost), dataset: checked(datasetOrSnapshotSchema, rest, text) };
}

/** Where it goes: `DST[:DATASET]`. @throws ZpsendError BAD_REQUEST */
export function parseTarget(text: string, thisHost: string): { host: string; dataset?: string } {
  const { host, rest } = split(text);
  if (host === undefined) {
    refuseUser(text);
    if (/[/@#]/.test(rest)) {
      throw usage(
        `"${text}" names no host: a target is HOST or HOST:DATASET. For this host write ${thisHost}:${text}, and run a ` +
          'receiver here too (zpsend receiver)',
      );
    }
    return { host: hostOf(rest, text, thisHost) };
  }
  const on = hostOf(host, text, thisHost);
  return rest === '' ? { host: on } : { host: on, dataset: checked(datasetSchema, rest, text) };
}

/** What to list: `HOST`, `HOST:DATASET`, or a dataset of this host with a `/` in it. @throws ZpsendError BAD_REQUEST */
export function parseLocation(text: string, thisHost: string): { host: string; dataset?: string } {
  const { host, rest } = split(text);
  return host === undefined && rest.includes('/') ? parseTarget(`:${text}`, thisHost) : parseTarget(text, thisHost);
}

/** The base of `-i`: `@snapshot` or `#bookmark`, with or without the name of the dataset. @throws ZpsendError BAD_REQUEST */
export function parseBase(text: string, dataset: string): string {
  const at = text.search(/[@#]/);
  if (at < 0) throw usage(`-i ${text}: a base is @snapshot or #bookmark, as in -i @${text}`);
  const named = text.slice(0, at);
  if (named !== '' && named !== datasetOf(dataset)) {
    throw usage(`-i ${text}: the base must belong to ${datasetOf(dataset)}; zpsend finds the origin of a clone itself`);
  }
  return text.slice(at);
}
