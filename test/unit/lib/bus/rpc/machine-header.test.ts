import { headers } from '@nats-io/transport-node';
import { describe, expect, test } from 'vitest';
import { distinct, faultOf } from '../../../../../cli/client/name-faults.ts';
import { claimOf, isToWrite, refusalOf, rivalOf } from '../../../../../lib/bus/hosts/claim.ts';
import { recordIn } from '../../../../../lib/bus/hosts/registry.ts';
import {
  checkMeant,
  checkPeer,
  headersFor,
  machineIn,
  markMachine,
  type Peer,
} from '../../../../../lib/bus/rpc/machine-header.ts';
import { derive, idIn } from '../../../../../lib/machine/derive.ts';
import { ownMachine, recordOf } from '../../../../../lib/machine/machine.ts';
import { bootId, type MachineFacts, ownId } from '../../../../../lib/machine/sources.ts';
import { ZpsendError } from '../../../../../schemas/errors.ts';
import {
  compareMachines,
  type Likeness,
  type Machine,
  machineSchema,
  shortMachine,
} from '../../../../../schemas/machine.ts';
import { mentions } from '../../../../support/mentions.ts';

const system = (
  platform: NodeJS.Platform,
  files: Record<string, string>,
  commands: Record<string, string> = {},
): MachineFacts => ({
  platform,
  file: (path) => files[path],
  command: (...words) => commands[words.join(' ')],
});

const [one, two] = [derive('one'), derive('two')];
const [monday, tuesday] = [derive('monday'), derive('tuesday')];
const own = { id: one, boot: monday };

describe('the id of a machine', () => {
  const id = '0123456789abcdef0123456789abcdee';

  test('is published only as a hash, which is stable and differs between machines', () => {
    const { machine } = ownMachine(undefined, system('linux', { '/etc/machine-id': `${id}\n` }));
    expect(machineSchema.parse(machine)).toEqual({ id: derive(id) });
    expect(machine.id).not.toContain(id.slice(0, 8));
    expect(derive(id)).toBe('2c6f48e4b116c35445170616a26a6d0d');
    expect(derive(`${id.slice(0, -1)}5`)).not.toBe(derive(id));
  });

  test.each<[string, MachineFacts, string | undefined]>([
    ['of Linux', system('linux', { '/etc/machine-id': 'a\n', '/etc/hostid': 'b' }), '/etc/machine-id'],
    ['without systemd', system('linux', { '/var/lib/dbus/machine-id': 'a\n' }), '/var/lib/dbus/machine-id'],
    [
      'that was never set',
      system('linux', { '/etc/machine-id': 'uninitialized\n', '/etc/hostid': 'b' }),
      '/etc/hostid',
    ],
    ['that is empty, as in an image', system('linux', { '/etc/machine-id': '\n' }), undefined],
    ['of a container without any', system('linux', {}, { hostid: '007f0101\n' }), undefined],
    [
      'of FreeBSD',
      system('freebsd', { '/etc/hostid': 'b' }, { 'sysctl -n kern.hostuuid': 'a\n' }),
      'sysctl -n kern.hostuuid',
    ],
    [
      'of a jail without an id',
      system(
        'freebsd',
        { '/etc/hostid': 'b' },
        { 'sysctl -n kern.hostuuid': '00000000-0000-0000-0000-000000000000\n' },
      ),
      '/etc/hostid',
    ],
    ['of SmartOS', system('sunos', { '/tmp/.sysinfo.json': '{"UUID":"a"}' }, { hostid: 'b\n' }), '/tmp/.sysinfo.json'],
    ['of SmartOS that cannot be read', system('sunos', { '/tmp/.sysinfo.json': '{"UU' }, { hostid: 'b\n' }), 'hostid'],
    ['of illumos', system('sunos', {}, { hostid: '00d80d5e\n' }), 'hostid'],
    ['of illumos without any', system('sunos', {}, { hostid: '00000000\n' }), undefined],
  ])('%s comes from the first source that has one', (_what, facts, source) => {
    expect(ownId(facts)?.source).toBe(source);
  });

  test('differs between two zones of one machine', () => {
    const zone = (name: string) => ownId(system('sunos', {}, { hostid: '00d80d5e\n', zonename: `${name}\n` }))?.id;
    expect(zone('a')).not.toBe(zone('b'));
  });

  test.each(['', '\n', '0000000000000000', '\0\0\0\0', 'ffffffff', 'Not Specified'])('%j is not an id', (text) => {
    expect(idIn(text)).toBeUndefined();
  });

  test('comes from the settings if they have one; the boot id still comes from the kernel', () => {
    const facts = system('linux', { '/etc/machine-id': 'a', '/proc/sys/kernel/random/boot_id': 'monday\n' });
    expect(ownMachine('pair', facts).machine).toEqual({ id: derive('pair'), boot: monday });
    expect(bootId(system('freebsd', {}))).toBeUndefined();
  });

  test('is needed to take a name', () => {
    expect(recordOf(ownMachine(undefined, system('linux', {})))).toBeUndefined();
    const record = recordOf(ownMachine(undefined, system('linux', { '/etc/machine-id': 'one' })));
    expect(record).toMatchObject({ machine: one, source: '/etc/machine-id' });
  });
});

test.each<[string, Machine, Machine, Likeness]>([
  ['one id and one boot', own, { ...own }, 'same'],
  ['another id on the same kernel, as of a zone', own, { id: two, boot: monday }, 'other'],
  ['one id and two boots at once, as of clones', own, { id: one, boot: tuesday }, 'other'],
  ['one id, one of them without a boot id', own, { id: one }, 'same'],
  ['one boot, one of them without an id, as in a container', own, { boot: monday }, 'same'],
  ['two boots without ids', { boot: monday }, { boot: tuesday }, 'other'],
  ['an id and a boot', { id: one }, { boot: monday }, 'unknown'],
  ['nothing', {}, {}, 'unknown'],
])('two machines with %s', (_what, a, b, likeness) => {
  expect([compareMachines(a, b), compareMachines(b, a)]).toEqual([likeness, likeness]);
});

describe('a host name', () => {
  const record = (machine: string) => ({ machine, source: '/etc/machine-id', since: '2026-01-01T00:00:00.000Z' });

  test.each<[string, string | undefined, Machine, ReturnType<typeof claimOf>, string | undefined]>([
    ['that is not registered is free', undefined, own, 'free', undefined],
    ['of this machine is its own, also after a reboot', one, { id: one, boot: tuesday }, 'own', undefined],
    ['of another machine is taken', two, own, 'taken', 'zpsend hosts --adopt smos-01'],
    ['of a machine is not for a machine without an id', two, { boot: monday }, 'unknown', 'machineId:'],
    ['that is not registered is not taken by a machine without an id', undefined, { boot: monday }, 'no-id', undefined],
  ])('%s', (_what, machine, asking, claim, wayOut) => {
    const found = machine === undefined ? undefined : record(machine);
    expect(claimOf(found, asking)).toBe(claim);
    const refusal = refusalOf('smos-01', asking, found);
    expect(refusal?.code).toBe(wayOut && 'OTHER_MACHINE');
    if (wayOut) expect(refusal?.message).toEqual(mentions('smos-01', wayOut));
  });

  test('whose record has fields of a later release still belongs to its machine', () => {
    const more = { ...record(two), lease: { until: 'tomorrow' } };
    const found = recordIn({ operation: 'PUT', json: <T>() => more as T });
    expect(claimOf(found, own)).toBe('taken');
    expect(claimOf(found, { id: two })).toBe('own');
  });

  test.each<[string, unknown]>([
    ['an empty record', {}],
    ['an invalid machine id', record('b')],
    ['a list', []],
    ['a number in place of a time', { ...record(two), since: 1 }],
    ['no JSON', undefined],
  ])('whose key holds %s is not free, and a machine that had it before writes its record again', (_what, value) => {
    const json = <T>(): T => {
      if (value === undefined) throw new SyntaxError('no JSON');
      return value as T;
    };
    const found = recordIn({ operation: 'PUT', json });
    expect(claimOf(found, own)).toBe('unreadable');
    expect([false, true].map((hasIt) => isToWrite(found, own, hasIt))).toEqual([false, true]);
    expect(isToWrite(found, { boot: monday }, true)).toBe(false);
    const refusal = refusalOf('smos-01', own, found);
    expect(refusal?.code).toBe('OTHER_MACHINE');
    expect(refusal?.message).toEqual(mentions('zpsend hosts --adopt smos-01', 'nats kv del zfs-hosts smos-01'));
    expect(faultOf('smos-01', [own], found)).toBe(refusal?.message);
  });

  test('whose key was removed is free', () => {
    expect(recordIn(null)).toBeUndefined();
    expect(recordIn({ operation: 'DEL', json: <T>() => ({}) as T })).toBeUndefined();
    expect([false, true].map((hasIt) => isToWrite(undefined, own, hasIt))).toEqual([true, true]);
    expect(isToWrite(record(two), own, true)).toBe(false);
  });

  test('is refused if another machine answers for it, but not for other instances of this machine', () => {
    expect(rivalOf('smos-01', own, [own, { id: one }, {}])).toBeUndefined();
    expect(rivalOf('smos-01', own, [own, { id: two, boot: tuesday }])?.message).toEqual(
      mentions(two.slice(0, 8), one.slice(0, 8)),
    );
    // clones have one id, so only their boot ids differ
    expect(rivalOf('smos-01', own, [{ id: one, boot: tuesday }])?.message).toEqual(mentions(tuesday.slice(0, 8)));
  });

  test.each<[string, Machine[], string | undefined, (string | number)[]?]>([
    ['one machine, which has it', [own, { ...own }], one],
    ['one machine, unregistered', [own], undefined],
    ['two machines', [own, own, { id: two }], one, [2, 'smos-01']],
    ['a machine for which it is not registered', [own], two, ['smos-01', two.slice(0, 8)]],
    ['a machine without an id', [{}], two],
  ])('answered for by %s', (_what, answering, registered, facts) => {
    const found = faultOf('smos-01', answering, registered === undefined ? undefined : record(registered));
    if (facts === undefined) expect(found).toBeUndefined();
    else expect(found).toEqual(mentions(...facts));
  });

  test('counts each machine once', () => {
    expect(distinct([own, { id: two }, { ...own }, { id: two }])).toEqual([own, { id: two }]);
    expect(shortMachine({})).toBe('without an id');
  });
});

describe('a message', () => {
  const self = { host: 'smos-01', machine: own };
  const codeOf = (check: () => void): string | undefined => {
    try {
      check();
      return undefined;
    } catch (thrown) {
      return ZpsendError.from(thrown).code;
    }
  };
  const from = (machine: Machine) => markMachine(headers(), machine);

  test.each<[string, string, Machine | undefined]>([
    ['zfs.smos-01.send.start', 'this host’s own service', own],
    ['zfs.smos-01.info.each', 'all of them', own],
    ['zfs.smos-011.send.start', 'another host', undefined],
    ['$SRV.PING', 'every service', undefined],
  ])('on %s, to %s, names the machine that it is for', (subject, _whom, machine) => {
    const marks = headersFor({ self }, subject);
    expect(marks && machineIn(marks)).toEqual(machine);
    expect(headersFor({ self: undefined }, subject)).toBeUndefined();
  });

  test('to a known peer names its id', () => {
    const marks = headersFor({ self }, 'zfs.smos-00.snapshots', { host: 'smos-00', id: two });
    expect(marks && machineIn(marks)).toEqual({ id: two });
    expect(headersFor({ self }, 'zfs.smos-00.snapshots', { host: 'smos-00' })).toBeUndefined();
  });

  test.each<[string, Machine, string | undefined]>([
    ['no particular machine', {}, undefined],
    ['this machine', own, undefined],
    ['its id alone', { id: one }, undefined],
    ['another machine', { id: two, boot: monday }, 'OTHER_MACHINE'],
    ['a clone of it', { id: one, boot: tuesday }, 'OTHER_MACHINE'],
  ])('that is for %s', (_whom, meant, code) => {
    expect(codeOf(() => checkMeant({ self }, from(meant)))).toBe(code);
  });

  test('for a certain machine is not carried out by a machine without an id', () => {
    expect(codeOf(() => checkMeant({ self: { host: 'smos-01', machine: {} } }, from(own)))).toBe('OTHER_MACHINE');
    expect(codeOf(() => checkMeant({ self: undefined }, from(own)))).toBeUndefined();
  });

  test('in reply has to come from the machine that replied first, also after its reboot', () => {
    const peer: Peer = { host: 'smos-00' };
    expect(codeOf(() => checkPeer(peer, undefined))).toBeUndefined();
    expect(codeOf(() => checkPeer(peer, from(own)))).toBeUndefined();
    expect(peer.id).toBe(one);
    expect(codeOf(() => checkPeer(peer, from({ id: one, boot: tuesday })))).toBeUndefined();
    expect(codeOf(() => checkPeer(peer, from({ id: two })))).toBe('OTHER_MACHINE');
    expect(codeOf(() => checkPeer(undefined, from({ id: two })))).toBeUndefined();
  });

  test.each<[string, [string, string][]]>([
    ['an invalid id', [['Zpsend-Machine', 'x']]],
    ['an id in capitals', [['Zpsend-Machine', 'A'.repeat(32)]]],
    ['less than an id', [['Zpsend-Machine', one.slice(1)]]],
    [
      'more than an id, with this boot',
      [
        ['Zpsend-Machine', `${one}0`],
        ['Zpsend-Boot', monday],
      ],
    ],
    [
      'nothing in a header, with this boot',
      [
        ['Zpsend-Machine', ''],
        ['Zpsend-Boot', monday],
      ],
    ],
    [
      'an invalid boot, with this id',
      [
        ['Zpsend-Machine', one],
        ['Zpsend-Boot', 'x'],
      ],
    ],
    [
      'two machines',
      [
        ['Zpsend-Machine', one],
        ['Zpsend-Machine', two],
      ],
    ],
  ])('that names %s is invalid as a request and as a reply', (_what, named) => {
    const marks = headers();
    for (const [name, value] of named) marks.append(name, value);
    expect(machineIn(marks)).toBeUndefined();
    expect(codeOf(() => checkMeant({ self }, marks))).toBe('BAD_REQUEST');
    expect(codeOf(() => checkMeant({ self: undefined }, marks))).toBe('BAD_REQUEST');
    expect(codeOf(() => checkPeer({ host: 'smos-00', id: one }, marks))).toBe('OTHER_MACHINE');
    expect(codeOf(() => checkPeer(undefined, marks))).toBeUndefined();
  });
});
