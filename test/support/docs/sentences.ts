/** The page as paragraphs of plain text: without blocks, tables, headings and comments, and with `code` for each quoted name. */
function paragraphsOf(page: string): string[] {
  const text = page
    .replace(/^ *```[\s\S]*?^ *```$/gm, '\n')
    .replace(/<!--[\s\S]*?-->/g, '\n')
    .replace(/^ {4,}.*$/gm, '')
    .replace(/^ *(?:\||#).*$/gm, '\n')
    .replace(/`[^`]*`/g, 'code')
    .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
    .replace(/\*+|_{2}/g, '');
  return text
    .split(/\n\s*\n|^ *(?:[-*]|\d+\.) /m)
    .map((paragraph) => paragraph.replace(/\s+/g, ' ').trim())
    .filter((paragraph) => paragraph !== '');
}

/** The sentences of a page in Markdown. */
export const sentencesOf = (page: string): string[] =>
  paragraphsOf(page).flatMap((paragraph) => paragraph.split(/(?<=[.?!]["')]?) (?=["'(]?(?:[A-Z0-9]|code\b|zpsend\b))/));

export const wordsOf = (sentence: string): number => sentence.split(/\s+/).filter((word) => /\w/.test(word)).length;
