import { expect, test } from 'vitest';
import { commandHintFor, hintFor } from '../../../../cli/args/other-tools.ts';

test.each<[string, string]>([
  ['-n', 'zpsend send -n'],
  ['--noaction', 'zpsend send -n'],
  ['--ssh-target=backup', 'HOST:DATASET'],
  ['--strip-path', '-d'],
  ['-v', 'ZPSEND_LOG=people'],
  ['-L', '--large-block'],
  ['-F', '--conflict'],
  ['--sshkey=id_ed25519', 'NATS, not ssh'],
  ['--source-bwlimit=10M', '--bwlimit'],
])('%s has a hint', (option, words) => expect(hintFor(option)).toContain(words));

test.each(['--frob', '', '--constructor', 'constructor'])('%j has none', (option) => {
  expect(hintFor(option)).toBeUndefined();
});

test.each<[string, string]>([
  ['pull', 'zpsend send HOST:DATASET'],
  ['push', 'zpsend send DATASET HOST'],
  ['receive', 'zpsend receiver'],
  ['recv', 'zpsend receiver'],
  ['list', 'zpsend snapshots'],
  ['ls', 'zpsend snapshots'],
  ['prune', 'sanoid'],
  ['snapshot', 'zfs snapshot'],
  ['daemon', 'zpsend sender'],
  ['test', 'zpsend config check'],
  ['signal', 'zpsend abort'],
  ['zones/test', 'zpsend send zones/test'],
  ['root@smos-00:zones/test', 'zpsend send'],
])('the command %s has a hint', (command, words) => expect(commandHintFor(command)).toContain(words));

test.each(['frobnicate', '-F', 'toString', ''])('the command %j has none', (command) => {
  expect(commandHintFor(command)).toBeUndefined();
});
