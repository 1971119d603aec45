/** Where a command writes: results to standard output, everything else to standard error. */
export interface Io {
  out(line: string): void;
  err(line: string): void;
  /** Lines that are drawn again and again below all others; on a terminal only. An empty list removes them. */
  live(lines: readonly string[]): void;
  /** A whole page in the place of the last one, on standard output. */
  page(lines: readonly string[]): void;
  /** From here on a reader that leaves does not end the command: what it does is more than what it prints. */
  outliveReaders(): void;
  /** Is standard error a terminal? Progress is shown there and nowhere else. */
  readonly isTerminal: boolean;
}

/** Names and messages come from other hosts: what could steer a terminal is shown as `?`. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: exactly those shall not reach a terminal
export const harmless = (text: string): string => text.replace(/[\x00-\x08\x0b-\x1f\x7f-\x9f]/g, '?');

/**
 * The terminal's or the pipe's ends. A reader of results that has left (`| head`) ends the command without a word, unless it
 * is one that works; one of errors and progress ends nothing.
 */
export function openIo(stdout: NodeJS.WriteStream, stderr: NodeJS.WriteStream): Io {
  let drawn: readonly string[] = [];
  let works = false;
  stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (works) return;
    if (error.code === 'EPIPE') process.exit(0);
    stderr.write(`zpsend: cannot write: ${error.message}\n`);
    process.exit(1);
  });
  stderr.on('error', () => {});
  const isTerminal = Boolean(stderr.isTTY);
  const wipe = () => {
    if (drawn.length > 0) stderr.write(`\x1b[${drawn.length}A\x1b[0J`);
  };
  const draw = () => {
    // a line that wraps would be counted as one when it is wiped
    const width = Math.max(20, (stderr.columns || 80) - 1);
    for (const line of drawn) stderr.write(`${harmless(line).slice(0, width)}\n`);
  };
  const above = (write: () => void) => {
    wipe();
    write();
    draw();
  };
  return {
    out: (line) => above(() => stdout.write(`${harmless(line)}\n`)),
    err: (line) => above(() => stderr.write(`${harmless(line)}\n`)),
    live(lines) {
      if (!isTerminal) return;
      wipe();
      drawn = lines;
      draw();
    },
    page: (lines) => void stdout.write(`\x1b[H\x1b[2J${lines.map((line) => `${harmless(line)}\n`).join('')}`),
    outliveReaders() {
      works = true;
    },
    isTerminal,
  };
}
