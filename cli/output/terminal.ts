/** The size of a terminal, in characters. */
export interface Screen {
  readonly rows: number;
  readonly columns: number;
}

/** The output of a command: results on standard output, everything else on standard error. */
export interface Io {
  out(line: string): void;
  err(line: string): void;
  /** Lines that stay below all others and are redrawn; on a terminal only. An empty list removes them. */
  live(lines: readonly string[]): void;
  /** A page that replaces the last one, on standard output. */
  page(lines: readonly string[]): void;
  /** From now on a closed pipe does not end the command. */
  ignoreClosedPipe(): void;
  /** Is standard error a terminal? Progress is shown there and nowhere else. */
  readonly isTerminal: boolean;
  /** The terminal of standard output; undefined for a pipe or a file. */
  readonly screen: Screen | undefined;
}

/** Names and messages come from other hosts: control characters become `?`. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these must not reach a terminal
export const harmless = (text: string): string => text.replace(/[\x00-\x08\x0b-\x1f\x7f-\x9f]/g, '?');

/**
 * Opens the output. A closed pipe on standard output (`| head`) ends the command without a message, until ignoreClosedPipe.
 * A closed pipe on standard error is ignored.
 */
export function openIo(stdout: NodeJS.WriteStream, stderr: NodeJS.WriteStream): Io {
  let wanted: readonly string[] = [];
  let drawn = 0;
  let ignoresClosedPipe = false;
  stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (ignoresClosedPipe) return;
    if (error.code === 'EPIPE') process.exit(0);
    stderr.write(`zpsend: cannot write to standard output: ${error.message}\n`);
    process.exit(1);
  });
  stderr.on('error', () => {});
  const isTerminal = Boolean(stderr.isTTY);
  const erased = () => (drawn > 0 ? `\x1b[${drawn}A\x1b[0J` : '');
  const redrawn = () => {
    // a line that wraps would be erased as one, and a line above the screen cannot be erased
    const [width, height] = [Math.max(20, (stderr.columns || 80) - 1), Math.max(1, (stderr.rows || 24) - 1)];
    const fitting = wanted.slice(-height);
    drawn = fitting.length;
    return fitting.map((line) => `${harmless(line).slice(0, width)}\n`).join('');
  };
  const above = (end: NodeJS.WriteStream, line: string) => {
    if (drawn > 0) stderr.write(erased());
    end.write(`${harmless(line)}\n`);
    if (drawn > 0) stderr.write(redrawn());
  };
  return {
    out: (line) => above(stdout, line),
    err: (line) => above(stderr, line),
    live(lines) {
      if (!isTerminal || (drawn === 0 && lines.length === 0)) return;
      const before = erased();
      wanted = lines;
      // in one write, so that it does not flicker
      stderr.write(before + redrawn());
    },
    page: (lines) => void stdout.write(`\x1b[H\x1b[2J${lines.map((line) => `${harmless(line)}\n`).join('')}`),
    ignoreClosedPipe() {
      ignoresClosedPipe = true;
    },
    isTerminal,
    screen: stdout.isTTY ? { rows: stdout.rows || 24, columns: stdout.columns || 80 } : undefined,
  };
}
