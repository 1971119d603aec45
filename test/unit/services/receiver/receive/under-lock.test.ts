import { PassThrough, Writable } from 'node:stream';
import { expect, test } from 'vitest';
import type { Lease } from '../../../../../lib/bus/locks/lease.ts';
import { createZfs, type Zfs } from '../../../../../lib/zfs/zfs.ts';
import { ZpsendError } from '../../../../../schemas/errors.ts';
import { leasedInput } from '../../../../../services/receiver/receive/leased-input.ts';
import { underLease } from '../../../../../services/receiver/receive/under-lock.ts';

const lost = new ZpsendError('LOCKED', 'the lease is lost');

/** A lease in the hands of a test: held, late with its renewal, or lost. */
function useLease() {
  let state: 'held' | 'late' | 'lost' = 'held';
  let settled = Promise.withResolvers<void>();
  const lease: Pick<Lease, 'assertHeld' | 'confirmed'> = {
    assertHeld() {
      if (state !== 'held') throw lost;
    },
    async confirmed() {
      while (state === 'late') await settled.promise;
      if (state === 'lost') throw lost;
    },
  };
  const become = (next: typeof state): void => {
    state = next;
    settled.resolve();
    settled = Promise.withResolvers();
  };
  return { lease, become };
}

/** A ZFS that records the start of every command. */
function useZfs() {
  const began: string[] = [];
  const names = Object.keys(createZfs()) as (keyof Zfs)[];
  const zfs = Object.fromEntries(names.map((name) => [name, () => void began.push(name)])) as unknown as Zfs;
  return { began, zfs, names };
}

/** All commands that do not change a target. */
const reading = [
  ...['list', 'listEach', 'inspect', 'send', 'content', 'writtenSince', 'holds'],
  ...['properties', 'estimate', 'version', 'pools', 'poolFacts'],
];

test('I13: under a lost lease no command starts that changes a target, and every command that reads does', async () => {
  const { began, zfs, names } = useZfs();
  const { lease, become } = useLease();
  const held = underLease(zfs, () => lease);
  become('lost');
  const run = async (name: keyof Zfs) => (held[name] as () => unknown)();
  const results = await Promise.allSettled(names.map(run));
  expect(began.toSorted()).toEqual(reading.toSorted());
  const refused = names.filter((_, at) => results[at]?.status === 'rejected');
  expect([...began, ...refused].toSorted()).toEqual(names.toSorted());
});

test('a command waits for a late renewal', async () => {
  const { began, zfs } = useZfs();
  const { lease, become } = useLease();
  const held = underLease(zfs, () => lease);
  become('late');
  const rollback = held.rollback('tank/a@1');
  const into = { dataset: 'tank/a', snapshot: '1', resumable: true, set: {}, exclude: [] };
  expect(() => held.receive(into)).toThrow(lost);
  expect(began).toEqual([]);
  become('held');
  await rollback;
  expect(began).toEqual(['rollback']);
});

test('a command that waits for a renewal does not start if the lease is lost', async () => {
  const { began, zfs } = useZfs();
  const { lease, become } = useLease();
  become('late');
  const rename = underLease(zfs, () => lease).rename('tank/a', 'tank/b');
  become('lost');
  await expect(rename).rejects.toThrow(lost);
  expect(began).toEqual([]);
});

test('a lease that is lost between a renewal and the command is checked again', async () => {
  const { began, zfs } = useZfs();
  const { lease, become } = useLease();
  const racing = { ...lease, confirmed: async () => become('lost') };
  await expect(underLease(zfs, () => racing).abortReceive('tank/a')).rejects.toThrow(lost);
  expect(began).toEqual([]);
});

/** The output so far. */
function useInput() {
  const into = new PassThrough();
  const { lease, become } = useLease();
  const taken = () => into.read()?.toString() ?? '';
  const input = leasedInput(into, lease);
  const write = (text: string): Promise<void> =>
    new Promise((resolve, reject) => {
      input.write(text, (error) => (error ? reject(error) : resolve()));
    });
  return { input, into, become, write, taken };
}

test('I13: nothing is written to zfs receive during a late renewal; the input follows in order after it', async () => {
  const { input, become, write, taken } = useInput();
  await write('a');
  become('late');
  const late = [write('b'), write('c'), write('d')];
  expect(taken()).toBe('a');
  become('held');
  await Promise.all(late);
  input.end();
  expect(taken()).toBe('bcd');
});

test('I13: nothing is written to zfs receive under a lost lease, and the end of the input is not passed on', async () => {
  const { input, into, become, write, taken } = useInput();
  become('late');
  const late = write('b').catch((error) => error);
  input.end();
  become('lost');
  expect(await late).toBe(lost);
  expect([taken(), into.writableEnded, into.destroyed]).toEqual(['', false, true]);
});

test('a process that ends before its input does ends the input', async () => {
  const into = new Writable({ write: (_chunk, _encoding, callback) => callback(new Error('EPIPE')) });
  const { lease } = useLease();
  const input = leasedInput(into, lease);
  await expect(new Promise((_, reject) => input.write('a', reject))).rejects.toThrow('EPIPE');
  expect(input.destroyed).toBe(true);
});
