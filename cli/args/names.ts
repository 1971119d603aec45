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
  throw usage(
    `"${name}"${name === text ? '' : ` in "${text}"`}: ${parsed.error.issues[0]?.message}${formHint(name, text)}`,
  );
}

/** `/a/b/` as `a/b`. */
const withoutSlashes = (name: string): string => name.replace(/^\/+|\/+$/g, '');

/** What to write instead of a path (sanoid#1053), or of a range of snapshots (`@a%b` of zfs-destroy(8)). */
function formHint(name: string, text: string): string {
  const host = text.slice(0, text.length - name.length);
  const [, dataset, last] = /^([^@]+)@[^%]*%([^%]*)$/.exec(name) ?? [];
  if (dataset !== undefined) {
    const range = `${host}${dataset}${last ? `@${last}` : ''}`;
    return `. Every snapshot up to the named one, or to the newest, is sent: write ${range}`;
  }
  const meant = withoutSlashes(name);
  if (meant === name || meant === '') return '';
  const path = name.startsWith('/') ? `. If it is a path, zfs list -o name ${name} on its host prints the dataset` : '';
  return `. A dataset has no slash at its beginning or end: write ${host}${meant}${path}`;
}

/** `smos-00.example.org` with `/zones/test/` as `smos-00-example-org:zones/test`. */
function placeOf(host: string, dataset: string): string {
  const rest = withoutSlashes(dataset);
  return `${host.replaceAll('.', '-')}${rest === '' ? '' : `:${rest}`}`;
}

/** `ssh://root@smos-00:22/zones/test`. @throws ZpsendError BAD_REQUEST */
function refuseUrl(text: string): void {
  const [, scheme, host = '', rest = ''] =
    /^([a-z][a-z0-9+.-]*):\/\/(?:[^/@]*@)?([^/:@]*)(?::\d*)?(.*)$/is.exec(text) ?? [];
  if (scheme === undefined) return;
  if (/^(?:nats|tls|wss?)$/i.test(scheme)) {
    throw usage('a host is named, and not the NATS server: NATS_URL names that. zpsend hosts lists the hosts');
  }
  throw usage(`"${text}": zpsend uses NATS, not ${scheme}, so a host has no URL: write ${placeOf(host, rest)}`);
}

/** `root@smos-00:zones/test`, as for ssh. @throws ZpsendError BAD_REQUEST */
function refuseUser(text: string, pattern = /^[^/@:#]+@([^/@:#]+):(.*)$/s): void {
  const [, host, rest = ''] = pattern.exec(text) ?? [];
  if (host === undefined) return;
  throw usage(`"${text}": zpsend uses NATS, not ssh, so a host has no user: write ${placeOf(host, rest)}`);
}

/** A host name. @throws ZpsendError BAD_REQUEST */
export function parseHost(text: string): string {
  if (hostSchema.safeParse(text).success) return text;
  throw usage(`"${text}" is not a host: letters, digits, "_" and "-" only`);
}

/** What is sent: `[SRC:]DATASET[@SNAP]`. @throws ZpsendError BAD_REQUEST */
export function parseSource(text: string, thisHost: string): { host: string; dataset: string } {
  refuseUrl(text);
  const { host, rest } = split(text);
  if (rest === '') throw usage(`"${text}" names no dataset: write ${text}pool/dataset`);
  // the name of a snapshot may look like this, but has no slash
  if (host === undefined && !datasetOrSnapshotSchema.safeParse(rest).success) refuseUser(text);
  return { host: hostOf(host, text, thisHost), dataset: checked(datasetOrSnapshotSchema, rest, text) };
}

/** Where it goes: `DST[:DATASET]`. @throws ZpsendError BAD_REQUEST */
export function parseTarget(text: string, thisHost: string): { host: string; dataset?: string } {
  refuseUrl(text);
  const { host, rest } = split(text);
  if (host === undefined) {
    // a target is never a snapshot
    refuseUser(text, /^[^/@:#]+@([^/@:#]+)(?::(.*))?$/s);
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
