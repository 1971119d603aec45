/** A part of the text below a command's options. */
export type HelpBlock =
  | { readonly kind: 'paragraph'; readonly text: string }
  /** Lines as they are, below a title that may be absent. */
  | { readonly kind: 'lines'; readonly title: string | undefined; readonly lines: readonly string[] };

const isIndented = (line: string | undefined): boolean => line?.startsWith(' ') === true;
/** Paragraphs about the exit status begin with these words. */
export const exitWords = 'Exit status';

/** Without the indentation that all lines share. */
function dedented(lines: readonly string[]): string[] {
  const indent = Math.min(...lines.filter((line) => line !== '').map((line) => line.search(/\S/)));
  return lines.map((line) => line.slice(indent));
}

/**
 * The parts of a help text: an indented line, and a title with a colon before it, belong to lines that are kept as they are. All other
 * lines are prose, in paragraphs that an empty line ends.
 */
export function helpBlocks(text: string): HelpBlock[] {
  const blocks: HelpBlock[] = [];
  const lines = text.split('\n');
  let paragraph: string[] = [];
  const end = (): void => {
    if (paragraph.length > 0) blocks.push({ kind: 'paragraph', text: paragraph.join(' ') });
    paragraph = [];
  };
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at] ?? '';
    const isTitle = /^\S.*:$/.test(line) && isIndented(lines[at + 1]);
    if (isTitle || isIndented(line)) {
      end();
      const first = isTitle ? at + 1 : at;
      let after = first;
      while (isIndented(lines[after]) || (lines[after] === '' && isIndented(lines[after + 1]))) after++;
      blocks.push({
        kind: 'lines',
        title: isTitle ? line.slice(0, -1) : undefined,
        lines: dedented(lines.slice(first, after)),
      });
      at = after - 1;
    } else if (line === '') end();
    else {
      if (line.startsWith(exitWords)) end();
      paragraph.push(line);
    }
  }
  end();
  return blocks;
}
