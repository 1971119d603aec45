/** A table; a `|` in a cell is escaped. */
export function tableOf(titles: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |\n`;
  return `${line(titles)}|${titles.map(() => '---').join('|')}|\n${rows.map(line).join('')}`;
}

/** Plain text in which no character is markup. */
export const plain = (text: string): string => text.replaceAll(/[\\`*_[\]<>#|]/g, '\\$&');

export const code = (text: string): string => `\`${text}\``;

/** The last sentence of the introduction of each page. */
export const madeFrom = (...sources: string[]): string =>
  `\`npm run reference -- --write\` makes this page from ${sources.map(code).join(', ')}. \`npm run check\` compares them.\n`;
