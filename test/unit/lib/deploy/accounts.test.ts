import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { credsAuthenticator, nkeys } from '@nats-io/transport-node';
import fc from 'fast-check';
import { describe, expect, onTestFinished, test } from 'vitest';
import { stringify } from 'yaml';
import { permissionsOf } from '../../../../lib/bus/permissions.ts';
import { exportsOf, importsOf, responseType } from '../../../../lib/deploy/accounts.ts';
import { type Link, linksOf, type Party } from '../../../../lib/deploy/links.ts';
import { nscCommands } from '../../../../lib/deploy/nsc.ts';
import { hostAccount, partiesOf } from '../../../../lib/deploy/parties.ts';
import { common, covers, widest } from '../../../../lib/deploy/patterns.ts';
import { serverFiles } from '../../../../lib/deploy/server-files.ts';
import { linksAt } from '../../../../lib/deploy/sites.ts';
import { type Fleet, fleetFileSchema } from '../../../../schemas/fleet.ts';
import { program } from '../../../support/program.ts';

const key = { user: 'x', password: 'y' };

const token = fc.constantFrom('a', 'b', '*');
const pattern = fc
  .tuple(fc.array(token, { minLength: 1, maxLength: 4 }), fc.boolean())
  .map(([tokens, open]) => [...tokens, ...(open ? ['>'] : [])].join('.'));
const subject = fc
  .array(fc.constantFrom('a', 'b', 'c'), { minLength: 1, maxLength: 5 })
  .map((tokens) => tokens.join('.'));

describe('patterns', () => {
  test('what two patterns have in common matches exactly what matches both', () => {
    fc.assert(
      fc.property(pattern, pattern, subject, (one, other, any) => {
        const both = common(one, other);
        expect(both !== undefined && covers(both, any)).toBe(covers(one, any) && covers(other, any));
      }),
    );
  });

  test('the widest of them match what all of them match, and none covers another', () => {
    fc.assert(
      fc.property(fc.array(pattern, { maxLength: 5 }), subject, (all, any) => {
        const few = widest(all);
        expect(few.some((one) => covers(one, any))).toBe(all.some((one) => covers(one, any)));
        for (const one of few) for (const other of few) if (one !== other) expect(covers(one, other)).toBe(false);
      }),
    );
  });

  test.each([
    ['zfs.*.info', 'zfs.alfa.>', 'zfs.alfa.info'],
    ['zfs-data.alfa.>', 'zfs-data.*.carl.*', 'zfs-data.alfa.carl.*'],
    ['a.>', 'a', undefined],
    ['a.b', 'a.c', undefined],
  ])('%s and %s: %s', (one, other, both) => {
    expect(common(one, other)).toBe(both);
  });
});

/** Fleets of a few hosts with any roles. */
const fleets: fc.Arbitrary<Fleet> = fc
  .uniqueArray(fc.constantFrom('alfa', 'bravo', 'carl', 'dora'), { minLength: 1 })
  .chain((names) =>
    fc.tuple(
      ...names.map((name) =>
        fc.record({
          name: fc.constant(name),
          roles: fc.constantFrom(['sender'], ['receiver'], ['sender', 'receiver']),
          from: fc.subarray(names),
          site: fc.constantFrom(undefined, 'site-a', 'site-b'),
        }),
      ),
    ),
  )
  .map((hosts) =>
    fleetFileSchema.parse({
      servers: [{ name: 'nats-1', address: 'nats-1' }],
      sites: ['site-a', 'site-b'].map((name) => ({ name, address: name })),
      admins: { ops: key },
      viewers: { looker: key },
      hosts: Object.fromEntries(
        hosts.map(({ name, site, ...host }) => [
          name,
          { ...key, ...host, ...(site && { site, link: `U${'A'.repeat(55)}` }) },
        ]),
      ),
    }),
  );

const ids = ['alfa', 'bravo', 'carl', 'dora', 'ops', 'x'];
const id = fc.constantFrom(...ids);
/** Subjects of every kind, with any host name. */
const wished = fc.oneof(
  fc
    .tuple(id, fc.constantFrom('info', 'snapshots', 'send.start', 'recv.abort', 'digest.start', 'event.job.done'), id)
    .map(([host, what]) => `zfs.${host}.${what}`),
  fc.tuple(id, fc.constantFrom('start', 'check'), id).map(([host, what, by]) => `zfs.${host}.recv.${what}.${by}`),
  fc.tuple(id, id).map(([source, target]) => `zfs-data.${source}.${target}.t1`),
  fc.tuple(id).map(([source]) => `zfs-data.${source}._fan.t1`),
  fc.tuple(id, id).map(([source, target]) => `zfs-credit.${source}.t1.${target}`),
  fc
    .tuple(id, fc.constantFrom('zfs-locks', 'zfs-hosts', 'zfs-status', 'zfs-policies'))
    .map(([host, bucket]) => `$KV.${bucket}.${host}.x`),
  fc.tuple(fc.constantFrom('_INBOX', '_DELIVER'), id).map(([prefix, name]) => `${prefix}.${name}.x`),
  fc.constantFrom('$SRV.PING', '$JS.API.INFO', '$JS.API.STREAM.DELETE.KV_zfs-locks', '$O.zfs-streams-alfa.C.x'),
);

const says = ({ permissions }: Party, what: string) => permissions.publish.some((one) => covers(one, what));
const hears = ({ permissions }: Party, what: string) => permissions.subscribe.some((one) => covers(one, what));
const crosses = (links: readonly Link[], from: Party, to: Party, what: string) =>
  links.filter((link) => link.from === from.account && link.to === to.account && covers(link.subject, what));

describe('links between accounts', () => {
  test('nothing crosses that one side may not say, or the other not hear', () => {
    fc.assert(
      fc.property(fleets, wished, (fleet, what) => {
        const parties = partiesOf(fleet);
        const links = linksOf(parties);
        for (const from of parties) {
          for (const to of parties) {
            const there = crosses(links, from, to, what);
            if (there.length > 0) expect([what, says(from, what), hears(to, what)]).toEqual([what, true, true]);
            // twice imported is twice delivered
            expect(there.length).toBeLessThanOrEqual(1);
          }
        }
      }),
    );
  });

  test('what one host may say and another hear crosses, but for answers, deliveries and discovery', () => {
    fc.assert(
      fc.property(fleets, wished, (fleet, what) => {
        if (/^(_|\$)/.test(what)) return;
        const parties = partiesOf(fleet).filter(({ kind }) => kind === 'host');
        const links = linksOf(parties);
        for (const from of parties) {
          for (const to of parties) {
            if (from === to) continue;
            const crossed = crosses(links, from, to, what).length > 0;
            expect([what, crossed]).toEqual([what, says(from, what) && hears(to, what)]);
          }
        }
      }),
    );
  });

  test('no inbox is shared, and deliveries come from JetStream alone', () => {
    fc.assert(
      fc.property(fleets, (fleet) => {
        for (const { subject: what, from } of linksOf(partiesOf(fleet))) {
          expect(what.startsWith('_INBOX')).toBe(false);
          if (what.startsWith('_DELIVER')) expect(from).toBe('jetstream');
        }
      }),
    );
  });

  test('only admins send requests to a host, and JetStream sends none', () => {
    fc.assert(
      fc.property(fleets, (fleet) => {
        const links = linksOf(partiesOf(fleet));
        const orders = links.filter(({ subject: what }) => /^zfs\.[^.]+\.send\./.test(what));
        for (const { from } of orders) expect(from).toBe('admins');
        for (const { from, subject: what } of links)
          if (from === 'jetstream') expect(what).toMatch(/^(\$KV|_DELIVER)\./);
      }),
    );
  });

  test('no two accounts import the same of each other', () => {
    fc.assert(
      fc.property(fleets, (fleet) => {
        const services = linksOf(partiesOf(fleet)).filter(({ kind }) => kind === 'service');
        const back = ({ from, to, subject: what }: Link) =>
          services.some((other) => other.from === to && other.to === from && common(other.subject, what) !== undefined);
        expect(services.filter(back)).toEqual([]);
      }),
    );
  });

  test('a subject that permissions gain crosses by itself', () => {
    const grown = (host: string, more: { publish?: string[]; subscribe?: string[] }): Party => {
      const { publish, subscribe } = permissionsOf(host, { sender: true, receiver: true });
      const permissions = {
        publish: [...publish, ...(more.publish ?? [])],
        subscribe: [...subscribe, ...(more.subscribe ?? [])],
      };
      return { account: hostAccount(host), kind: 'host', host, permissions };
    };
    const links = linksOf([
      grown('alfa', { publish: ['zfs-new.alfa.>'] }),
      grown('carl', { subscribe: ['zfs-new.*.carl'] }),
    ]);
    expect(links).toContainEqual({ kind: 'service', from: 'host-alfa', to: 'host-carl', subject: 'zfs-new.alfa.carl' });
  });

  test('every import has its export, given to that account', () => {
    fc.assert(
      fc.property(fleets, (fleet) => {
        const parties = partiesOf(fleet);
        const links = linksOf(parties);
        const given = new Set(
          parties.flatMap(({ account }) =>
            exportsOf(account, links).flatMap(({ kind, subject: what, accounts }) =>
              accounts.map((to) => [kind, account, to, what].join(' ')),
            ),
          ),
        );
        const taken = parties.flatMap(({ account }) =>
          importsOf(account, links).map(({ kind, from, to, subject: what }) =>
            [kind, kind === 'service' ? to : from, account, what].join(' '),
          ),
        );
        expect(new Set(taken)).toEqual(given);
      }),
    );
  });
});

describe('files of servers', () => {
  test('what two hosts of one site say to each other is linked at that site alone', () => {
    fc.assert(
      fc.property(fleets, (fleet) => {
        const files = new Map(serverFiles(fleet).map(({ server, text }) => [server, text]));
        for (const [one, { site }] of Object.entries(fleet.hosts)) {
          for (const [other, { site: theirs }] of Object.entries(fleet.hosts)) {
            if (one === other) continue;
            const asks = `{ service: { account: "host-${other}", subject: "zfs.${other}.info" } }`;
            const where = [...files].filter(([, text]) =>
              text.split(`"host-${one}": {`)[1]?.split('\n  }\n')[0]?.includes(asks),
            );
            expect(where.map(([server]) => server)).toEqual([site === theirs && site ? site : 'nats-1']);
          }
        }
      }),
    );
  });

  test('a host of a site connects to the site only, and the site speaks for it', () => {
    const fleet = fleetFileSchema.parse({
      servers: [{ name: 'nats-1', address: 'nats-1' }],
      sites: [{ name: 'site-a', address: 'site-a' }],
      admins: { ops: key },
      hosts: { alfa: { nkey: `U${'B'.repeat(55)}`, site: 'site-a', link: `U${'C'.repeat(55)}` } },
    });
    const [middle, site] = serverFiles(fleet);
    expect(middle?.text).not.toContain('UBBB');
    expect(middle?.text).toMatch(/nkey: UC+, allowed_connection_types: \["LEAFNODE"\]/);
    expect(site?.text).toContain('{ nkey: UBBB');
    expect(site?.text).not.toContain('UCCC');
    expect(site?.text).not.toContain('store_dir');
    // requests to JetStream pass the link
    for (const file of [middle, site]) expect(file?.text).toMatch(/default_js_domain \{\s+"host-alfa": ""\s+\}/);
  });
});

describe('commands of nsc', () => {
  const optionOf = (line: string, name: string) =>
    new RegExp(`--${name} (?:'([^']*)'|(\\S+))`)
      .exec(line)
      ?.slice(1)
      .find((part) => part !== undefined) ?? '';
  const parsed = (fleet: Fleet, what: 'export' | 'import') =>
    nscCommands(fleet)
      .filter((line) => line.startsWith(`nsc add ${what} `))
      .map((line) => ({
        account: optionOf(line, 'account'),
        kind: line.includes(' --service') ? 'service' : 'stream',
        subject: optionOf(line, what === 'export' ? 'subject' : 'remote-subject'),
        source: optionOf(line, 'src-account'),
        name: optionOf(line, 'name'),
      }));

  test('export nothing that another export covers, import nothing twice, and nothing that is not exported', () => {
    fc.assert(
      fc.property(fleets, (fleet) => {
        const [given, taken] = [parsed(fleet, 'export'), parsed(fleet, 'import')];
        for (const one of given)
          for (const other of given)
            if (one !== other && one.account === other.account && one.kind === other.kind)
              expect([one, other, covers(one.subject, other.subject)]).toEqual([one, other, false]);
        for (const one of taken) {
          const from = given.filter(
            (other) => other.account === one.source && other.kind === one.kind && covers(other.subject, one.subject),
          );
          expect([one, from.length]).toEqual([one, 1]);
          const again = taken.filter(
            (other) =>
              other !== one &&
              other.account === one.account &&
              other.kind === one.kind &&
              covers(other.subject, one.subject),
          );
          if (one.kind === 'service') expect([one, again]).toEqual([one, []]);
        }
      }),
      { numRuns: 20 },
    );
  });

  test('make the links of the servers in the middle but discovery, and none that stays at a site', () => {
    fc.assert(
      fc.property(fleets, (fleet) => {
        const isDiscovery = (what: string) => what.startsWith('$SRV.');
        const wanted = linksAt(fleet, partiesOf(fleet), undefined)
          .filter((link) => !isDiscovery(link.subject))
          .map(({ kind, from, to, subject: what }) =>
            (kind === 'service' ? [kind, to, from, what] : [kind, from, to, what]).join(' '),
          );
        const made = parsed(fleet, 'import')
          .filter((one) => !isDiscovery(one.subject))
          .map(({ kind, source, account, subject: what }) => [kind, source, account, what].join(' '));
        expect(made.sort()).toEqual(wanted.sort());
      }),
      { numRuns: 20 },
    );
  });

  const keyOf = (letter: string) => `U${letter.repeat(55)}`;
  const withSite = fleetFileSchema.parse({
    servers: [{ name: 'nats-1', address: 'nats-1' }],
    sites: [{ name: 'site-a', address: 'site-a' }],
    admins: { ops: { nkey: keyOf('A') } },
    viewers: { looker: { nkey: keyOf('E') } },
    hosts: {
      alfa: { nkey: keyOf('B') },
      bravo: { nkey: keyOf('C'), from: ['alfa'] },
      carl: { nkey: keyOf('D'), from: ['alfa'], site: 'site-a', link: keyOf('F') },
      dora: { nkey: keyOf('G'), roles: ['sender'], site: 'site-a', link: keyOf('H') },
    },
  });

  test('make a user for each host in the middle, and for a host of a site that of its link, for leaf connections only', () => {
    const users = nscCommands(withSite).filter((line) => / user /.test(line));
    expect(users.map((line) => line.split(' --allow-sub')[0])).toEqual([
      `nsc add user --account admins --name ops --public-key ${keyOf('A')}`,
      `nsc add user --account viewer-looker --name looker --public-key ${keyOf('E')}`,
      `nsc add user --account host-alfa --name alfa --public-key ${keyOf('B')}`,
      `nsc add user --account host-bravo --name bravo --public-key ${keyOf('C')}`,
      `nsc add user --account host-carl --name carl-link --public-key ${keyOf('F')}`,
      'nsc edit user --account host-carl --name carl-link --conn-type LEAFNODE',
      `nsc add user --account host-dora --name dora-link --public-key ${keyOf('H')}`,
      'nsc edit user --account host-dora --name dora-link --conn-type LEAFNODE',
    ]);
    const hears = new Map(partiesOf(withSite).map(({ account, permissions }) => [account, permissions.subscribe]));
    const restricted = users.filter((line) => line.includes('--allow-sub'));
    expect(restricted.map((line) => optionOf(line, 'account'))).toEqual(['viewer-looker', 'host-alfa', 'host-bravo']);
    for (const line of restricted)
      expect(optionOf(line, 'allow-sub').split(',')).toEqual(hears.get(optionOf(line, 'account')));
  });

  /** What the commands print in a shell in which nsc knows the key of each account. */
  const printed = (fleet: Fleet): string => {
    const nsc = `nsc() { case "$1 $2" in 'describe account') echo "\\"KEY-$4\\"";; 'generate config') echo "$*";; esac; }`;
    return execFileSync('sh', ['-e'], { input: [nsc, ...nscCommands(fleet)].join('\n'), encoding: 'utf8' });
  };

  test('print what the servers in the middle have in place of accounts, requests to JetStream from sites among it', () => {
    expect(printed(withSite).split('\n')).toEqual([
      'generate config --mem-resolver',
      'default_js_domain {',
      '  "KEY-host-carl": ""',
      '  "KEY-host-dora": ""',
      '}',
      '',
    ]);
    const { carl: _carl, dora: _dora, ...hosts } = withSite.hosts;
    expect(printed({ ...withSite, hosts })).toBe('generate config --mem-resolver\n');
  });

  test('are printed for a fleet with sites as a script, which says how the credentials of a link are made', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'zpsend-nsc-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    const link = nkeys.createUser();
    await writeFile(join(folder, 'fleet.yaml'), stringify(withSite));
    await writeFile(join(folder, 'carl-link.jwt'), 'HEAD.BODY.SIGN\n');
    await writeFile(join(folder, 'carl-link.nk'), `${new TextDecoder().decode(link.getSeed())}\n`);
    const argv = [program, 'deploy', 'accounts', join(folder, 'fleet.yaml'), '--nsc'];
    const script = execFileSync(process.execPath, argv, { encoding: 'utf8' });
    expect(execFileSync('sh', ['-e'], { input: `nsc() { :; }\n${script}`, encoding: 'utf8' })).toContain('js_domain');
    const recipe = [...script.matchAll(/^# {3}(.*BEGIN.*)$/gm)].map(([, line]) => line?.replaceAll('HOST', 'carl'));
    execFileSync('sh', ['-e'], { cwd: folder, input: recipe.join('\n') });
    const signed = credsAuthenticator(await readFile(join(folder, 'carl.creds')))('nonce');
    expect(signed).toMatchObject({ jwt: 'HEAD.BODY.SIGN', nkey: link.getPublicKey() });
  });
});

test('of what is stored each message has one answer', () => {
  for (const what of ['$O.zfs-streams-alfa.>', '$KV.zfs-locks.alfa.>', '$JS.API.STREAM.INFO.*'])
    expect(responseType(what)).toBe('singleton');
  for (const what of ['zfs.alfa.snapshots', '$JS.API.CONSUMER.MSG.NEXT.ZFS_EVENTS.alfa', '$JS.API.>'])
    expect(responseType(what)).toBe('stream');
});
