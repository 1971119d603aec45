import { globSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import ts from 'typescript';

const most = 70;

/**
 * Functions of any kind with too many lines, a message for each. All lines count, from the first to the closing brace; those of a
 * nested function count for the outer one too.
 */
export function longFunctionsIn(path: string, text: string): string[] {
  const source = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
  const lineOf = (position: number): number => source.getLineAndCharacterOfPosition(position).line + 1;
  const messages: string[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isFunctionLike(node) && 'body' in node && node.body) {
      const first = lineOf(node.getStart(source));
      const lines = lineOf(node.end) - first + 1;
      if (lines > most) messages.push(`${path}:${first} ${nameOf(node)} has ${lines} lines, at most ${most}`);
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return messages;
}

/** Its own name, or that of the variable or property whose value it is. */
function nameOf({ name, parent }: ts.SignatureDeclaration): string {
  if (name) return name.getText();
  const isNamed =
    ts.isVariableDeclaration(parent) || ts.isPropertyAssignment(parent) || ts.isPropertyDeclaration(parent);
  return isNamed ? parent.name.getText() : 'a function';
}

if (import.meta.main) {
  const root = resolve(import.meta.dirname, '..');
  const files = globSync('{bin,cli,lib,schemas,services,tools}/**/*.{ts,cjs}', {
    cwd: root,
    exclude: (path) => path.endsWith('node_modules'),
  });
  const found = files.sort().flatMap((path) => longFunctionsIn(path, readFileSync(join(root, path), 'utf8')));
  for (const message of found) console.error(message);
  process.exitCode = found.length > 0 ? 1 : 0;
}
