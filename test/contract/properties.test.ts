import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { onlyOfFilesystems, onlyOfVolumes } from '../../lib/zfs/property-types.ts';
import { lab, MIB } from './zfs-under-test.ts';

const z = lab();
const fs = `${z.source}/a`;
const volume = `${z.source}/v`;
/** Of the filesystem, the volume and a clone of the filesystem: full and incremental, plain and with properties. */
const streams: Record<string, Buffer> = {};
const stream = (name: string): Buffer => streams[name] ?? Buffer.of();
const kinds = [['plain'], ['props', '-p']] as const;
let to = '';
let count = 0;

/** The properties that zpsend excludes from every receive. */
const left = ['mountpoint', 'canmount', 'sharenfs', 'sharesmb', 'exec', 'setuid', 'devices'];
const leave = left.flatMap((name) => ['-x', name]);

beforeAll(() => {
  z.ok('create', '-o', 'mountpoint=/elsewhere', '-o', 'canmount=noauto', '-o', 'atime=off', '-o', 'setuid=off', fs);
  z.ok('snapshot', `${fs}@1`);
  z.ok('clone', '-o', 'mountpoint=/clone', '-o', 'canmount=noauto', `${fs}@1`, `${z.source}/c`);
  z.ok('snapshot', `${z.source}/c@1`);
  z.ok('create', '-s', '-V', '8M', volume);
  z.ok('snapshot', `${volume}@1`);
  for (const [kind, ...flags] of kinds) {
    streams[`${kind} 1`] = z.stream(...flags, `${fs}@1`);
    streams[`${kind} clone`] = z.stream(...flags, '-i', `${fs}@1`, `${z.source}/c@1`);
    streams[`${kind} volume 1`] = z.stream(...flags, `${volume}@1`);
  }
  // a stream has the properties of when it is sent
  z.ok('set', 'exec=off', fs);
  z.ok('snapshot', `${fs}@2`);
  z.ok('set', 'volmode=none', volume);
  z.ok('snapshot', `${volume}@2`);
  for (const [kind, ...flags] of kinds) {
    streams[`${kind} 2`] = z.stream(...flags, '-i', '@1', `${fs}@2`);
    streams[`${kind} volume 2`] = z.stream(...flags, '-i', '@1', `${volume}@2`);
  }
});

beforeEach(() => {
  to = `${z.target}/to${count++}`;
});

const receive = (name: string, ...argv: string[]) => z.feed(stream(name), 'receive', '-s', '-u', ...argv);
const good = (name: string, ...argv: string[]): void => {
  const { exit, stderr } = receive(name, ...argv);
  expect([exit, stderr]).toEqual([0, '']);
};
const values = (...names: string[]): string[] => names.map((name) => z.value(name, to));
const untouched = (): string[] => [`/${to}`, 'on', 'on', 'on'];
const shown = ['mountpoint', 'canmount', 'setuid', 'exec'];

describe('-x', () => {
  test('of a stream without properties changes nothing', () => {
    good('plain 1', ...leave, `${to}@1`);
    expect(values(...shown, 'atime')).toEqual([...untouched(), 'on']);
    good('plain 2', ...leave, `${to}@2`);
    expect(values(...shown, 'atime')).toEqual([...untouched(), 'on']);
  });

  test('keeps the properties set on the target', () => {
    good('plain 1', ...leave, `${to}@1`);
    for (const value of ['mountpoint=/mine', 'canmount=off', 'setuid=off']) z.ok('set', value, to);
    good('plain 2', ...leave, `${to}@2`);
    expect(values(...shown)).toEqual(['/mine', 'off', 'off', 'on']);
  });

  test('does not protect a property set on the target from the first stream with properties', () => {
    good('plain 1', ...leave, `${to}@1`);
    z.ok('set', 'mountpoint=/mine', to);
    z.ok('set', 'canmount=off', to);
    good('props 2', ...leave, `${to}@2`);
    expect(values(...shown)).toEqual(['/elsewhere', 'noauto', 'on', 'on']);
  });

  test('keeps the stream’s values from taking effect, in the first and in later streams', () => {
    good('props 1', ...leave, `${to}@1`);
    expect(values(...shown, 'atime')).toEqual([...untouched(), 'off']);
    good('props 2', ...leave, `${to}@2`);
    expect(values(...shown, 'atime')).toEqual([...untouched(), 'off']);
  });

  test('without it the stream’s values take effect', () => {
    good('props 1', `${to}@1`);
    expect(values(...shown)).toEqual(['/elsewhere', 'noauto', 'off', 'on']);
    good('props 2', `${to}@2`);
    expect(values(...shown)).toEqual(['/elsewhere', 'noauto', 'off', 'off']);
    z.ok('destroy', '-r', to);
  });

  test('of a clone', () => {
    good('plain 1', ...leave, `${to}@1`);
    const origin = `${to}@1`;
    for (const kind of ['plain', 'props']) {
      to = `${z.target}/to${count++}`;
      good(`${kind} clone`, ...leave, '-o', `origin=${origin}`, `${to}@1`);
      expect(values('mountpoint', 'canmount')).toEqual([`/${to}`, 'on']);
    }
  });

  test('of a volume with unfitting properties has a warning for each and succeeds', () => {
    for (const kind of ['plain', 'props']) {
      to = `${z.target}/to${count++}`;
      for (const snapshot of [1, 2]) {
        const { exit, stderr } = receive(`${kind} volume ${snapshot}`, ...leave, `${to}@${snapshot}`);
        expect(exit).toBe(0);
        const warnings = stderr.split('\n').filter((line) => line !== '');
        expect(warnings.filter((line) => !/^Warning: .* does not apply to datasets of this type$/.test(line))).toEqual(
          [],
        );
        expect(warnings.length).toBeGreaterThanOrEqual(snapshot === 1 ? left.length : 0);
      }
      expect(values('type', 'volmode')).toEqual(['volume', kind === 'props' ? 'none' : 'default']);
    }
  });
});

describe('-o', () => {
  test('overrides the stream’s values', () => {
    good('props 1', '-o', 'mountpoint=/mine', '-o', 'atime=on', '-o', 'readonly=on', `${to}@1`);
    expect(values('mountpoint', 'atime', 'readonly')).toEqual(['/mine', 'on', 'on']);
    good('props 2', '-o', 'readonly=on', `${to}@2`);
    expect(values('mountpoint', 'atime', 'readonly')).toEqual(['/mine', 'on', 'on']);
  });

  test('of an unfitting property is refused, and nothing is received', () => {
    const faultyRequests = (name: string, property: string) => {
      const { exit, stderr } = receive(name, '-o', property, `${to}@1`);
      expect(exit).toBe(1);
      expect(stderr).toMatch(/property '[a-z]+' does not apply to datasets of this type/);
    };
    faultyRequests('plain volume 1', 'mountpoint=none');
    faultyRequests('plain volume 1', 'atime=off');
    expect(z.zfs('list', to).exit).toBe(1);
    good('plain volume 1', '-o', 'readonly=on', '-o', 'volmode=none', `${to}@1`);
    expect(values('readonly', 'volmode')).toEqual(['on', 'none']);
  });

  test('of a property of both types is accepted for both', () => {
    good('plain 1', '-o', 'volmode=none', '-o', 'snapdev=visible', `${to}@1`);
    expect(values('volmode', 'snapdev')).toEqual(['none', 'visible']);
  });
});

test('the rest of an interrupted stream takes the same options', () => {
  const home = `${z.source}/big`;
  z.ok('create', home);
  z.write(home, 12 * MIB);
  z.ok('snapshot', `${home}@1`);
  const whole = z.stream('-p', `${home}@1`);
  const options = [...leave, '-o', 'readonly=on', `${to}@1`];
  expect(z.feed(whole.subarray(0, 8 * MIB), 'receive', '-s', '-u', ...options).exit).toBe(1);
  const rest = z.stream('-t', z.value('receive_resume_token', to));
  expect(z.feed(rest, 'receive', '-s', '-u', ...options)).toMatchObject({ exit: 0 });
  expect(values('readonly', 'mountpoint')).toEqual(['on', `/${to}`]);
});

test('the properties of a type are those in the table', () => {
  const has = (property: string, dataset: string): boolean | undefined => {
    const { exit, stdout } = z.zfs('get', '-Hp', '-o', 'value', property, dataset);
    // this release may not know it
    return exit === 0 ? stdout !== '-\n' : undefined;
  };
  for (const property of onlyOfFilesystems)
    expect([property, has(property, volume) ?? false]).toEqual([property, false]);
  for (const property of onlyOfVolumes) expect([property, has(property, fs) ?? false]).toEqual([property, false]);
  for (const property of ['readonly', 'volmode', 'snapdev', 'compression', 'reservation', 'refreservation', 'sync'])
    expect([property, has(property, fs), has(property, volume)]).toEqual([property, true, true]);
});
