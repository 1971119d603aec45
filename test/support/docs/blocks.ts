/** A command of a page, with what it prints. */
export interface DocCommand {
  /** Of the command in the page, from 1. */
  readonly line: number;
  readonly host: string;
  readonly text: string;
  /** Undefined if the page shows no output. */
  readonly expected: string | undefined;
  readonly exit: number;
}

/** A block that a test runs, writes or reads. */
export type DocBlock =
  | { readonly kind: 'console'; readonly line: number; readonly commands: readonly DocCommand[] }
  | { readonly kind: 'not-run'; readonly line: number; readonly reason: string }
  | {
      readonly kind: 'file';
      readonly line: number;
      readonly host: string;
      readonly path: string;
      readonly text: string;
    }
  | { readonly kind: 'text'; readonly line: number; readonly language: string; readonly text: string };

interface Fence {
  readonly line: number;
  readonly info: string;
  readonly lines: readonly string[];
}

/** Fenced blocks, and comments that begin with `<!-- run`, as console blocks that the reader does not see. */
function fencesOf(page: string): Fence[] {
  const fences: Fence[] = [];
  let open: { line: number; info: string; indent: number; end: RegExp; lines: string[] } | undefined;
  for (const [at, text] of page.split('\n').entries()) {
    if (open === undefined) {
      const [, indent = '', info] = /^( *)```(.*)$/.exec(text) ?? [];
      if (info !== undefined)
        open = { line: at + 1, info: info.trim(), indent: indent.length, end: /^ *```$/, lines: [] };
      else if (text === '<!-- run') open = { line: at + 1, info: 'console', indent: 0, end: /^-->$/, lines: [] };
    } else if (open.end.test(text)) {
      fences.push(open);
      open = undefined;
    } else open.lines.push(text.slice(Math.min(open.indent, /^ */.exec(text)?.[0].length ?? 0)));
  }
  if (open) throw new Error(`line ${open.line}: the block has no end`);
  return fences;
}

const prompt = /^([a-z][\w-]*)[#$] (.*)$/;

function commandsOf({ line, lines }: Fence): DocCommand[] {
  const commands: { line: number; host: string; text: string; output: string[] }[] = [];
  let isContinued = false;
  for (const [at, text] of lines.entries()) {
    const last = commands.at(-1);
    const [, host, command] = prompt.exec(text) ?? [];
    if (isContinued && last) last.text += `\n${text}`;
    else if (host !== undefined && command !== undefined)
      commands.push({ line: line + at + 1, host, text: command, output: [] });
    else if (last) last.output.push(text);
    else throw new Error(`line ${line + at + 1}: a console block begins with a command, as in "smos-01# zpsend hosts"`);
    isContinued = text.endsWith('\\') && (isContinued || prompt.test(text));
  }
  return commands.map(({ output, ...command }) => {
    const exit = /^\[exit (\d+)\]$/.exec(output.at(-1) ?? '')?.[1];
    const printed = exit === undefined ? output : output.slice(0, -1);
    return {
      ...command,
      expected: printed.length > 0 ? printed.join('\n').trimEnd() : undefined,
      exit: Number(exit ?? 0),
    };
  });
}

/** The blocks of a page in their order. @throws Error for a block that has no end, or no command */
export function blocksOf(page: string): DocBlock[] {
  return fencesOf(page).map((fence): DocBlock => {
    const { line, info, lines } = fence;
    const [, language = '', reason] = /^(\w*)(?: not-run="(.+)")?$/.exec(info) ?? [];
    if (reason !== undefined) return { kind: 'not-run', line, reason };
    if (info === 'console') return { kind: 'console', line, commands: commandsOf(fence) };
    const [, path, host] = /^# (\/etc\/[\w./-]+) on ([\w-]+)$/.exec(lines[0] ?? '') ?? [];
    const text = lines.join('\n');
    if (path !== undefined && host !== undefined) return { kind: 'file', line, host, path, text };
    return { kind: 'text', line, language: language || info, text };
  });
}

const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

/** Numbers match any number, with another unit of size or time too; blanks match blanks; `...` any text. */
const linePattern = (line: string): string =>
  line
    .trimEnd()
    .split('...')
    .map((part) =>
      part
        .split(/(\d[\d.,:]*(?:[KMGT]B?|B|ms|[smhd])?(?![A-Za-z])|\s+)/)
        .map((piece, at) => (at % 2 === 0 ? escaped(piece) : /^\s/.test(piece) ? '\\s+' : '\\d[\\w.,:]*'))
        .join(''),
    )
    .join('.*');

/** Is it the output that a page shows? A line `...` stands for any lines. */
export function matchesOutput(expected: string, actual: string): boolean {
  const lines = expected.split('\n').map((line) => (line.trim() === '...' ? '(?:.*\\n)*?' : `${linePattern(line)}\\n`));
  return new RegExp(`^${lines.join('')}$`).test(
    `${actual
      .split('\n')
      .map((line) => line.trimEnd())
      .join('\n')
      .trimEnd()}\n`,
  );
}
