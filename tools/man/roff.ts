const characters: Readonly<Record<string, string>> = {
  '\\': '\\e',
  // a plain hyphen or quote would become a typographic one, which no shell accepts
  '-': '\\-',
  "'": '\\(aq',
  '`': '\\(ga',
  '^': '\\(ha',
  '~': '\\(ti',
  '"': '\\(dq',
};

/** Text in which no character is markup (groff_man_style(7)). */
export const escaped = (text: string): string => text.replaceAll(/[\\\-'`^~"]/g, (found) => characters[found] ?? found);

export const bold = (text: string): string => `\\fB${escaped(text)}\\fR`;
export const italic = (text: string): string => `\\fI${escaped(text)}\\fR`;

/** A line of text: a leading dot is not a request. */
const asText = (line: string): string => (line.startsWith('.') ? `\\&${line}` : line);

/** A line of text from Markdown: text between backticks is bold. */
export const prose = (markdown: string): string =>
  asText(
    markdown
      .split('`')
      .map((part, at) => (at % 2 === 1 ? bold(part) : escaped(part)))
      .join(''),
  );

/** A line of plain text. */
export const line = (text: string): string => asText(escaped(text));

/** A request or macro, with its arguments. */
export const macro = (name: string, ...values: readonly string[]): string =>
  [`.${name}`, ...values.map((value) => `"${escaped(value)}"`)].join(' ');

export const title = (name: string, section: number, version: string, manual: string): string =>
  macro('TH', name.toUpperCase(), String(section), '', `zpsend ${version}`, manual);

/** A paragraph with a term beside or above it. @param term already in roff */
export const tagged = (term: string, ...text: readonly string[]): string[] => ['.TP', asText(term), ...text];

/** Lines as they are. */
export const literal = (lines: readonly string[]): string[] => [
  '.PP',
  '.RS 4',
  '.nf',
  // an empty line is a request of its own in roff
  ...lines.map((one) => (one === '' ? '.sp' : line(one))),
  '.fi',
  '.RE',
];

/** Words with `<value>` in italics, and options in bold. */
export const withValues = (text: string): string =>
  text
    .split(/(<[^>]+>|--?[A-Za-z][A-Za-z-]*)/)
    .map((part) => {
      if (part.startsWith('<')) return italic(part.slice(1, -1));
      return part.startsWith('-') ? bold(part) : escaped(part);
    })
    .join('');
