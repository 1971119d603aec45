import { describe, expect, test } from 'vitest';
import { candidatesOf, type Known, neededFor, slotOf } from '../../../../cli/args/complete.ts';
import type { Cli } from '../../../../cli/context.ts';
import { commandLine } from '../../../../cli/main.ts';

const root = commandLine({ action: () => async () => {} } as unknown as Cli);
const known: Known = {
  hosts: ['smos-00', 'smos-01', 'dr-1'],
  jobs: [{ value: '3k9x0a7b1c', description: 'smos-01: zones/vm to smos-00' }],
  names: ['zones', 'zones/vm', 'zones/my data', 'zones/a:b', 'my:pool/x'],
};
const complete = (words: readonly string[], names: Partial<Known> = {}): string[] =>
  candidatesOf(slotOf(root, words), { ...known, ...names }).map(({ value }) => value);

describe('the words of the command line', () => {
  test.each<[string[], string[]]>([
    [['se'], ['send', 'sender']],
    [
      ['config', ''],
      ['check', 'show', 'help'],
    ],
    [['send', '--conf'], ['--conflict']],
    [
      ['send', '--conflict', ''],
      ['refuse', 'rollback', 'rotate'],
    ],
    [
      ['send', '--conflict=ro'],
      ['--conflict=rollback', '--conflict=rotate'],
    ],
    [
      ['status', '--state', 'failed,st'],
      ['failed,stale', 'failed,stored'],
    ],
    [['status', '--state=failed,sil'], ['--state=failed,silent']],
    [['completion', 'z'], ['zsh']],
    [['frobnicate', ''], []],
    [['send', '--', '-'], []],
  ])('%j is completed to %j', (words, found) => expect(complete(words)).toEqual(found));

  test('have a description', () => {
    const [send] = candidatesOf(slotOf(root, ['sen']), known);
    expect(send).toMatchObject({ value: 'send', description: expect.stringContaining('snapshots') });
  });

  test('begin with the root’s commands and options', () => {
    expect(complete([''])).toEqual(expect.arrayContaining(['send', 'plan', 'status', 'config', 'completion', 'help']));
    expect(complete(['-'])).toEqual(expect.arrayContaining(['--version', '--help']));
    expect(complete(['send', '-'])).not.toContain('--replication');
  });
});

describe('names', () => {
  test.each<[string[], string[]]>([
    [['send', 'zones/m'], ['zones/my data']],
    [['send', 'zones/a:'], ['zones/a:b']],
    [['send', 'my'], []],
    [['send', ':my'], [':my:pool/x']],
    [['send', 'smos-00:zones/v'], ['smos-00:zones/vm']],
    [
      ['send', 's'],
      ['smos-00:', 'smos-01:'],
    ],
    [['send', '-R', '--bwlimit', '10M', 'zones/vm', 'd'], ['dr-1']],
    [['send', 'zones/vm', 'dr-1', 'dr-1:zones/v'], ['dr-1:zones/vm']],
    [['send', '-Ri', '@a', 'zones/v'], ['zones/vm']],
    [['status', '--source', 'd'], ['dr-1']],
    [['status', '--target=d'], ['--target=dr-1']],
    [['abort', '3'], ['3k9x0a7b1c']],
    [['snapshots', 'd'], ['dr-1']],
    [['policies', 'smos-01'], ['smos-01']],
  ])('%j is completed to %j', (words, found) => expect(complete(words)).toEqual(found));

  test('of snapshots follow an @', () => {
    const names = ['zones/vm@a', 'zones/vm@b 2'];
    expect(complete(['send', 'zones/vm@'], { names })).toEqual(names);
    expect(complete(['send', 'smos-00:zones/vm@b'], { names })).toEqual(['smos-00:zones/vm@b 2']);
  });

  test('are only looked for where they are needed', () => {
    const needed = (...words: string[]) => neededFor(slotOf(root, words));
    expect(needed('se')).toEqual({});
    expect(needed('send', '--conflict', '')).toEqual({});
    expect(needed('send', '')).toEqual({ hosts: true, names: {} });
    expect(needed('send', 'zones/vm@')).toEqual({ names: { dataset: 'zones/vm' } });
    expect(needed('send', 'smos-00:zones/vm@')).toEqual({ names: { host: 'smos-00', dataset: 'zones/vm' } });
    expect(needed('send', ':my:pool/x@')).toEqual({ names: { dataset: 'my:pool/x' } });
    expect(needed('send', 'zones/vm', '')).toEqual({ hosts: true });
    expect(needed('send', 'zones/vm', 'dr-1:')).toEqual({ names: { host: 'dr-1' } });
    expect(needed('abort', '')).toEqual({ jobs: true });
    expect(needed('config', 'check', '')).toEqual({});
  });

  test('of files are left to the shell', () => {
    expect(slotOf(root, ['config', 'check', '']).kind).toBe('file');
    expect(slotOf(root, ['plan', '--inventory', '']).kind).toBe('file');
  });
});
