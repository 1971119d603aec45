import { execa } from 'execa';
import { describe, expect, test } from 'vitest';
import { scripts } from '../../../cli/commands/completion/scripts.ts';

/** Completes the line in bash, with these candidates in place of zpsend's. Prints the words that zpsend was asked for. */
async function bash(line: string, candidates: readonly string[], status = 0) {
  const script = `
zpsend() { shift 2; printf '<%s>' "$@" >&3; printf '%s\\n' "\${canned[@]}"; return ${status}; }
canned=(${candidates.map((one) => `$'${one.replaceAll("'", "\\'").replaceAll('\t', '\\t')}'`).join(' ')})
${scripts.bash}
COMP_WORDBREAKS=$' \\t\\n"\\'@><=;|&(:'
COMP_LINE="$1" COMP_POINT=\${#1}
exec 3>&1
_zpsend zpsend
printf '\\n'
for each in "\${COMPREPLY[@]}"; do printf '%s\\n' "$each"; done`;
  const { stdout, stderr } = await execa('bash', ['-c', script, 'bash', line], { reject: false });
  const [asked, ...replies] = stdout.split('\n');
  return { asked, replies, stderr };
}

describe('the script for bash', () => {
  test.each<[string, string, string[], string[]]>([
    ['zpsend st', '<st>', ['status\tshow the state', 'store'], ['status', 'store']],
    ['zpsend send ', '<send><>', ['zones/vm', 'smos-00:'], ['zones/vm', 'smos-00:']],
    ['zpsend send smos-00:', '<send><smos-00:>', ['smos-00:zones/vm'], ['zones/vm']],
    ['zpsend send smos-00:zo', '<send><smos-00:zo>', ['smos-00:zones/my data'], ['zones/my\\ data']],
    ['zpsend send zones/my\\ d', '<send><zones/my d>', ['zones/my data'], ['zones/my\\ data']],
    ['zpsend send zones/my\\ data@', '<send><zones/my data@>', ['zones/my data@a 1'], ['a\\ 1']],
    [
      'zpsend send "smos-00:zones/my d',
      '<send><smos-00:zones/my d>',
      ['smos-00:zones/my data'],
      ['smos-00:zones/my data'],
    ],
    ["zpsend send 'zones/a:", '<send><zones/a:>', ['zones/a:b'], ['zones/a:b']],
    ['zpsend send zones/a:', '<send><zones/a:>', ['zones/a:b c'], ['b\\ c']],
    ['zpsend send :my:po', '<send><:my:po>', [':my:pool/x'], ['pool/x']],
    ['zpsend send --conflict=ro', '<send><--conflict=ro>', ['--conflict=rotate'], ['rotate']],
    ['zpsend send "zones/my data" s', '<send><zones/my data><s>', ['smos-00'], ['smos-00']],
  ])('completes %s', async (line, asked, candidates, replies) => {
    expect(await bash(line, candidates)).toEqual({ asked, replies, stderr: '' });
  });

  test('leaves files to bash', async () => {
    expect(await bash('zpsend config check /e', ['x'], 3)).toEqual({
      asked: '<config><check></e>',
      replies: [],
      stderr: '',
    });
  });
});

test.each(['zsh', 'fish'] as const)('the script for %s is valid there, if it is installed', async (shell) => {
  const { exitCode, failed } = await execa(shell, ['-n', '-c', scripts[shell]], { reject: false });
  expect(exitCode === undefined ? failed : exitCode === 0).toBe(true);
});
