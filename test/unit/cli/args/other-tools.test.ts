import { expect, test } from 'vitest';
import { hintFor } from '../../../../cli/args/other-tools.ts';

test.each<[string, string]>([
  ['-n', 'zpsend plan'],
  ['--dry-run', 'zpsend plan'],
  ['-v', 'ZPSEND_LOG=people'],
  ['-L', '--large-block'],
  ['-F', '--conflict'],
  ['--sshkey=id_ed25519', 'NATS, not ssh'],
  ['--source-bwlimit=10M', '--bwlimit'],
])('%s has a hint', (option, words) => expect(hintFor(option)).toContain(words));

test.each(['--frob', '', '--constructor', 'constructor'])('%j has none', (option) => {
  expect(hintFor(option)).toBeUndefined();
});
