import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { parse } from 'yaml';
import { configSchema } from '../../../schemas/config.ts';
import { blocksOf, type DocBlock, type DocCommand, matchesOutput } from '../../support/docs/blocks.ts';
import { findNatsCli } from '../../support/docs/nats-cli.ts';
import { docHosts, makeDocWorld } from '../../support/docs/world.ts';
import { useNatsAccounts } from '../../support/nats-account.ts';

const root = join(import.meta.dirname, '../../..');
const pages = ['README.md', ...globSync('docs/{getting-started,guides}/*.md', { cwd: root }).sort()];
const natsUrl = useNatsAccounts();
const natsCli = await findNatsCli();

/** Commands that change nothing; what they print may need a moment to come true. */
const isReading = (text: string): boolean =>
  /^(zpsend (status|policies|hosts|locks|snapshots|store ls|verify|plan)|zfs (list|get|holds)|nats (kv get|object ls))\b/.test(
    text,
  );
const patienceMs = 30_000;

/** The text of a block in YAML. */
function yamlOf(block: DocBlock): string | undefined {
  if (block.kind === 'file') return block.path.endsWith('.yaml') ? block.text : undefined;
  return block.kind === 'text' && block.language === 'yaml' ? block.text : undefined;
}

type World = Awaited<ReturnType<typeof makeDocWorld>>;

/** Runs a command until it prints what the page shows. Throws with both if it never does. */
async function follow(world: World, command: DocCommand): Promise<void> {
  const end = Date.now() + (isReading(command.text) ? patienceMs : 0);
  for (;;) {
    const { output, exit } = await world.run(command);
    const isSame = command.expected === undefined || matchesOutput(command.expected, output);
    if (isSame && exit === command.exit) return;
    if (Date.now() >= end)
      expect(`${output}\n[exit ${exit}]`).toBe(`${command.expected ?? ''}\n[exit ${command.exit}]`);
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

describe.each(pages)('%s', (page) => {
  const text = readFileSync(join(root, page), 'utf8');
  const blocks = blocksOf(text);
  const commands = blocks.flatMap((block) => (block.kind === 'console' ? block.commands : []));

  test('shows commands in blocks that are run, or says why not', () => {
    const shells = blocks.filter(
      (block) => block.kind === 'text' && /^(|sh|bash|shell|zsh|console.*)$/.test(block.language),
    );
    expect(shells.map(({ line }) => `${page}:${line}`)).toEqual([]);
  });

  test('has valid configurations in its yaml blocks', () => {
    for (const block of blocks) {
      const yaml = yamlOf(block);
      if (yaml === undefined) continue;
      const value = parse(yaml);
      const isConfig = Object.keys(value).some((key) => key in configSchema.shape);
      if (isConfig) expect(configSchema.safeParse(value).error?.issues ?? [], `${page}:${block.line}`).toEqual([]);
    }
  });

  test.runIf(commands.length > 0)('its commands do what it shows', { timeout: 300_000 }, async () => {
    const world = await makeDocWorld(natsUrl(), natsCli);
    onTestFinished(() => world.end());
    await world.prepare(
      docHosts.filter((host) => text.includes(host)),
      page.includes('/guides/'),
    );
    for (const block of blocks) {
      if (block.kind === 'file') await world.write(block.host, block.path, block.text);
      if (block.kind !== 'console') continue;
      for (const command of block.commands) {
        // the pages show it beside zpsend's own commands, and nothing after it depends on it
        if (natsCli === undefined && command.text.startsWith('nats ')) continue;
        await follow(world, command).catch((error) => {
          error.message = `${page}:${command.line}: ${command.host}# ${command.text}\n${error.message}`;
          throw error;
        });
      }
    }
  });
});
