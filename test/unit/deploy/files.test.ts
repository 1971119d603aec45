import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { type Element, parseXml } from '../../support/xml.ts';

const root = join(import.meta.dirname, '../../..');
const text = (path: string): string => readFileSync(join(root, path), 'utf8');

describe('reading XML', () => {
  test.each([
    ['<a><b></a></b>', 'ends'],
    ['<a>', 'does not end'],
    ['<a/><b/>', 'one root'],
    ['<a b="1" b="2"/>', 'twice'],
    ['<a b=1/>', 'not well-formed'],
    ['<a>&</a>', 'a bare &'],
    ['<a b="x & y"/>', 'a bare &'],
    ['<!-- a -- b --><a/>', 'not well-formed'],
    ['<a/>text', 'outside'],
    ['<a b="<"/>', 'not well-formed'],
  ])('%s is refused', (xml, why) => expect(() => parseXml(xml)).toThrow(why));

  test('returns elements, attributes and children', () => {
    expect(parseXml('<?xml version="1.0"?><!DOCTYPE a SYSTEM "x"><!-- - --><a b="1">t<c d=\'2\'/></a>')).toEqual({
      ...{ name: 'a', attributes: { b: '1' }, children: [{ name: 'c', attributes: { d: '2' }, children: [] }] },
    });
  });
});

/**
 * The rules of service_bundle.dtd.1 of illumos for the used elements: the order of their children, as a pattern over their
 * names, and their attributes, those with `?` optional, those with `=` of a closed list.
 */
const dtd: Record<string, { holds: RegExp; attributes: string[] }> = {
  service_bundle: { holds: /^(service )+$/, attributes: ['type=manifest|profile|archive', 'name'] },
  service: {
    holds:
      /^(create_default_instance )?(single_instance )?(dependency )*(dependent )*(method_context )?(exec_method )*(property_group )*(instance )*(stability )?(template )?$/,
    attributes: ['name', 'type=service|restarter|milestone', 'version'],
  },
  create_default_instance: { holds: /^$/, attributes: ['enabled=true|false'] },
  single_instance: { holds: /^$/, attributes: [] },
  dependency: {
    holds: /^(service_fmri )+$/,
    attributes: [
      'name',
      'grouping=require_all|require_any|exclude_all|optional_all',
      'restart_on=error|restart|refresh|none',
      'type=service|path',
    ],
  },
  service_fmri: { holds: /^$/, attributes: ['value'] },
  method_context: { holds: /^(method_credential )?(method_environment )?$/, attributes: ['working_directory?'] },
  method_credential: { holds: /^$/, attributes: ['user', 'group?'] },
  method_environment: { holds: /^(envvar )+$/, attributes: [] },
  envvar: { holds: /^$/, attributes: ['name', 'value'] },
  exec_method: { holds: /^$/, attributes: ['type=method|monitor', 'name', 'exec', 'timeout_seconds'] },
  property_group: { holds: /^(propval )+$/, attributes: ['name', 'type'] },
  propval: { holds: /^$/, attributes: ['name', 'type=astring|boolean|count|integer', 'value'] },
  stability: { holds: /^$/, attributes: ['value=Standard|Stable|Evolving|Unstable|External|Obsolete'] },
  template: { holds: /^common_name (description )?(documentation )?$/, attributes: [] },
  common_name: { holds: /^loctext $/, attributes: [] },
  loctext: { holds: /^$/, attributes: ['xml:lang'] },
  documentation: { holds: /^(manpage )+$/, attributes: [] },
  manpage: { holds: /^$/, attributes: ['title', 'section', 'manpath?'] },
};

/** The faults of an element and its descendants. */
function faults({ name, attributes, children }: Element): string[] {
  const rule = dtd[name];
  if (!rule) return [`<${name}> is not known`];
  const order = children.map((child) => `${child.name} `).join('');
  const known = rule.attributes.map((each) => /^([\w:]+)(\?)?(?:=(.*))?$/.exec(each) ?? []);
  const wrong = known.flatMap(([, key = '', optional, values]) => {
    const value = attributes[key];
    if (value === undefined) return optional ? [] : [`<${name}> lacks ${key}`];
    return values && !values.split('|').includes(value) ? [`<${name} ${key}="${value}">`] : [];
  });
  const strange = Object.keys(attributes).filter((key) => !known.some(([, each]) => each === key));
  return [
    ...(rule.holds.test(order) ? [] : [`<${name}> holds ${order}`]),
    ...wrong,
    ...strange.map((key) => `<${name} ${key}>`),
    ...children.flatMap(faults),
  ];
}

const all = (element: Element, name: string): Element[] => [
  ...(element.name === name ? [element] : []),
  ...element.children.flatMap((child) => all(child, name)),
];

describe('the SMF manifest', () => {
  const bundle = parseXml(text('deploy/smf/zpsend.xml'));
  const services = all(bundle, 'service');

  test('is valid by the DTD', () => expect(faults(bundle)).toEqual([]));

  test('an invalid manifest has faults', () => {
    const swapped = parseXml(
      '<service name="a" type="x" more=""><stability value="Stable"/><single_instance/></service>',
    );
    expect(faults(swapped)).toHaveLength(4);
  });

  test('has both services, which differ only in their names', () => {
    const nameOf = ({ attributes }: Element) => attributes.name;
    expect(services.map(nameOf)).toEqual(['application/zpsend-receiver', 'application/zpsend-sender']);
    const [receiver, sender] = services.map((service) => JSON.stringify(service).replaceAll(/receiver|sender/g, 'X'));
    expect(receiver).toBe(sender);
  });

  test.each(services.map((service) => [service.attributes.name, service] as const))('%s', (name = '', service) => {
    const valuesOf = (element: string) => all(service, element).map(({ attributes }) => attributes);
    expect(valuesOf('exec_method')).toMatchObject([
      // svc.startd puts `exec` before it
      { name: 'start', exec: `/bin/sh -c 'set -a; . /etc/zpsend/env; exec zpsend ${name.replace(/.*-/, '')}'` },
      { name: 'stop', exec: ':kill', timeout_seconds: '40' },
      // the service alone, not its zfs processes
      { name: 'refresh', exec: "/bin/sh -c 'kill -HUP $(svcprop -p restarter/start_pid $SMF_FMRI)'" },
    ]);
    // svc.startd restarts a child service whenever it ends (svc.startd(8))
    expect(valuesOf('propval')).toContainEqual({ name: 'duration', type: 'astring', value: 'child' });
    const needed = all(service, 'dependency').filter(({ attributes }) => attributes.grouping === 'require_all');
    expect(needed.flatMap((one) => all(one, 'service_fmri')).map(({ attributes }) => attributes.value)).toEqual([
      'svc:/milestone/network:default',
      'svc:/system/filesystem/local:default',
      'file://localhost/etc/zpsend/env',
    ]);
    expect(valuesOf('envvar').map(({ name }) => name)).toEqual(['PATH', 'ZPSEND_LOG']);
    expect(valuesOf('create_default_instance')).toEqual([{ enabled: 'false' }]);
  });
});

describe('the compose file', () => {
  const strings = z.array(z.string());
  /** The used part of the Compose specification. */
  const serviceSchema = z.strictObject({
    image: z.string(),
    build: z.strictObject({ context: z.string(), dockerfile_inline: z.string() }).optional(),
    command: strings,
    privileged: z.boolean().optional(),
    devices: strings.optional(),
    environment: z.record(z.string(), z.string()).optional(),
    volumes: strings,
    ports: strings.optional(),
    depends_on: strings.optional(),
    restart: z.enum(['no', 'always', 'on-failure', 'unless-stopped']),
    init: z.boolean().optional(),
    stop_grace_period: z.string().optional(),
  });
  const composeSchema = z.strictObject({
    name: z.string(),
    'x-service': z.unknown(),
    services: z.record(z.string(), serviceSchema),
    volumes: z.record(z.string(), z.strictObject({})),
  });
  const { services, volumes } = composeSchema.parse(parse(text('deploy/compose.yaml'), { merge: true }));
  const { nats, receiver, sender } = services;

  test('has a NATS server and both services', () => {
    expect(Object.keys(services)).toEqual(['nats', 'receiver', 'sender']);
    expect([receiver?.command, sender?.command]).toEqual([['receiver'], ['sender']]);
    expect({ ...sender, command: [] }).toEqual({ ...receiver, command: [] });
    for (const { depends_on = [] } of Object.values(services))
      for (const on of depends_on) expect(services).toHaveProperty(on);
  });

  test('gives the services access to ZFS and NATS, and the host’s name', () => {
    expect(receiver).toMatchObject({ privileged: true, devices: ['/dev/zfs:/dev/zfs'] });
    const environment = receiver?.environment ?? {};
    const mounted = receiver?.volumes.map((volume) => volume.split(':')[1]);
    for (const file of ['NATS_CA', 'NATS_NKEY', 'ZPSEND_CONFIG']) expect(mounted).toContain(environment[file]);
    expect(environment.NATS_URL).toBe('tls://nats:4222');
    expect(environment.ZPSEND_HOST).toMatch(/^\$\{HOST:\?/);
    expect(environment.ZPSEND_INBOX_PREFIX).toBe(`_INBOX.\${HOST}`);
  });

  test('mounts every file of the NATS configuration, and a persistent volume', () => {
    const config = nats?.command[1] ?? '';
    const places = new Map(nats?.volumes.map((volume) => [volume.split(':')[1] ?? '', volume.split(':')[0] ?? '']));
    const source = join('deploy', places.get(config) ?? '');
    const named = [...text(source).matchAll(/^[^#\n]*(?:include|_dir:|_file:)\s*"?([^"\s]+)/gm)].map(
      ([, path = '']) => path,
    );
    expect(named).toHaveLength(5);
    const there = named.map((path) => (path.startsWith('.') ? join(dirname(config), path) : path));
    expect([...places.keys()]).toEqual(expect.arrayContaining(there));
    expect(volumes).toHaveProperty(places.get('/var/lib/nats') ?? '');
  });

  test('the reference describes every variable of zpsend that it sets', () => {
    const known = text('docs/reference/environment.md');
    for (const name of Object.keys(receiver?.environment ?? {})) expect(known).toContain(`\`${name}\``);
  });
});
