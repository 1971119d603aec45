/** An element of an XML document; text, comments and the document type are left out. */
export interface Element {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly children: Element[];
}

const name = '[A-Za-z_][\\w:.-]*';
const attribute = `\\s+(${name})\\s*=\\s*("[^"<]*"|'[^'<]*')`;
const token = new RegExp(
  `<!--(?:(?!--)[^])*-->|<\\?[^]*?\\?>|<!DOCTYPE[^>[]*>|<(${name})((?:${attribute})*)\\s*(/?)>|</(${name})\\s*>|[^<]+`,
  'y',
);

/** Reads a document as far as a manifest goes: no own entities, no CDATA. @throws Error where it is not well-formed */
export function parseXml(text: string): Element {
  const root: Element = { name: '', attributes: {}, children: [] };
  const open = [root];
  token.lastIndex = 0;
  while (token.lastIndex < text.length) {
    const at = token.lastIndex;
    const found = token.exec(text);
    const where = `line ${text.slice(0, at).split('\n').length}`;
    if (!found) throw new Error(`${where}: not well-formed: ${text.slice(at, at + 40)}`);
    const [whole, begins, attributes = '', , , isEmpty, ends] = found;
    const parent = open.at(-1) ?? root;
    if (begins !== undefined) {
      const element = { name: begins, attributes: attributesOf(attributes, where), children: [] };
      parent.children.push(element);
      if (!isEmpty) open.push(element);
    } else if (ends !== undefined) {
      if (open.length === 1 || parent.name !== ends) throw new Error(`${where}: </${ends}> ends <${parent.name}>`);
      open.pop();
    } else if (!whole.startsWith('<') && open.length === 1 && whole.trim() !== '') {
      throw new Error(`${where}: text outside the root`);
    }
    if (!whole.startsWith('<!') && /&(?!(?:lt|gt|amp|quot|apos|#\d+);)/.test(whole))
      throw new Error(`${where}: a bare &`);
  }
  const [only, ...others] = root.children;
  if (open.length > 1) throw new Error(`<${open.at(-1)?.name}> does not end`);
  if (!only || others.length > 0) throw new Error('not exactly one root');
  return only;
}

function attributesOf(text: string, where: string): Record<string, string> {
  const all: Record<string, string> = {};
  for (const [, key = '', value = ''] of text.matchAll(new RegExp(attribute, 'g'))) {
    if (key in all) throw new Error(`${where}: ${key} twice`);
    all[key] = value.slice(1, -1);
  }
  return all;
}
