import { outcomeMeanings, outcomes } from '../../cli/commands/status/check.ts';
import { exit, exitMeanings } from '../../cli/exit-codes.ts';
import { programText, withInner } from './commands.ts';
import { exitWords } from './help-blocks.ts';
import { code, madeFrom, plain, tableOf } from './markdown.ts';

const introduction = `# Exit codes

${madeFrom('cli/exit-codes.ts', 'cli/commands/')}`;

const services = `
## Services

\`zpsend sender\` and \`zpsend receiver\` end with these codes. A supervisor need not restart a service that ends with 2.

| code | meaning |
|---|---|
| \`0\` | stopped by a signal |
| \`1\` | failed, for example since NATS closed the connection for good |
| \`2\` | wrong configuration, a host name of another machine, or a NATS user without the permission for this host |
`;

type Name = keyof typeof exit;

/** The exit codes of all commands, with their meanings. */
export const exitRows = (): [number, string][] =>
  Object.entries(exit).map(([name, status]) => [status, exitMeanings[name as Name]]);

/** docs/reference/exit-codes.md */
export function exitCodesPage(): string {
  const rows = exitRows().map(([status, means]) => [code(String(status)), means]);
  const checks = Object.entries(outcomes).map(([name, status]) => [
    code(String(status)),
    name,
    outcomeMeanings[name as keyof typeof outcomes],
  ]);
  const own = withInner(programText()).flatMap(({ path, blocks }) =>
    blocks.flatMap((block) =>
      block.kind === 'paragraph' && block.text.startsWith(exitWords) ? [[code(path), plain(block.text)]] : [],
    ),
  );
  return [
    introduction,
    `\n${tableOf(['code', 'meaning'], rows)}`,
    `\n## Commands with a more exact meaning\n\n${tableOf(['command', 'meaning'], own)}`,
    '\n## zpsend status --check\n\nThe codes of a monitoring plugin (Nagios, Icinga). The line of output begins with the name.\n',
    `\n${tableOf(['code', 'name', 'meaning'], checks)}`,
    services,
  ].join('');
}
