import { execa } from 'execa';
import { harmless, type Screen } from './terminal.ts';

/** As git does: leave if it fits on the screen, keep colors, and leave the text on the screen. */
const defaultPager = ['less', '-FRX'];

/** The command of $PAGER, split on blanks; no shell runs it. Empty if $PAGER is empty or `cat`. */
export function pagerOf({ PAGER }: NodeJS.ProcessEnv): string[] {
  if (PAGER === undefined) return defaultPager;
  const words = PAGER.split(/\s+/).filter((word) => word !== '');
  return words[0] === 'cat' ? [] : words;
}

/** Are the lines longer than the screen? A line that wraps takes several rows, and the shell's prompt takes one. */
export function isLonger(lines: readonly string[], { rows, columns }: Screen): boolean {
  const needed = lines.reduce((sum, line) => sum + Math.max(1, Math.ceil(line.length / columns)), 0);
  return needed > rows - 1;
}

/** Shows the lines in the pager until the reader leaves it. @returns false if there is no pager, or it does not start */
export async function showInPager(lines: readonly string[], env: NodeJS.ProcessEnv): Promise<boolean> {
  const [command, ...args] = pagerOf(env);
  if (command === undefined) return false;
  // a Ctrl-C is the pager's: without this command it would lose its terminal
  const ignore = () => {};
  process.on('SIGINT', ignore);
  try {
    const input = lines.map((line) => `${harmless(line)}\n`).join('');
    const { code } = await execa(command, args, { input, stdout: 'inherit', stderr: 'inherit', reject: false, env });
    return !['ENOENT', 'EACCES'].includes(code ?? '');
  } finally {
    process.off('SIGINT', ignore);
  }
}
