import { describe, expect, test } from 'vitest';
import { topics } from '../../../cli/commands/help/topics.ts';
import type { Cli } from '../../../cli/context.ts';
import { commandLine } from '../../../cli/main.ts';
import { variableOfKey } from '../../../schemas/environment.ts';

const cli = { action: () => async () => {} } as unknown as Cli;

describe.each(Object.entries(topics))('zpsend help %s', (_, text) => {
  const lines = text.trimEnd().split('\n');

  test('is at most 40 lines of at most 80 characters, without a trailing blank', () => {
    expect(lines.length).toBeLessThanOrEqual(40);
    expect(lines.filter((line) => line.length > 80 || /\s$/.test(line))).toEqual([]);
    expect(text).toMatch(/^\S.*\n\n/);
  });

  test('has examples that the command line accepts', async () => {
    const from = lines.indexOf('Examples:');
    const examples = from < 0 ? [] : lines.slice(from + 1).map((line) => line.trim().replaceAll("'", '').split(/ +/));
    for (const words of examples) {
      const argv = words.slice(words.indexOf('zpsend') + 1);
      await commandLine(cli).parseAsync(argv, { from: 'user' });
    }
    expect(examples.length === 0 || examples.every((words) => words.includes('zpsend'))).toBe(true);
  });
});

test('the topic of the environment has every variable of a key, with that key', () => {
  for (const [key, name] of variableOfKey) {
    if (key.startsWith('nats.')) continue;
    expect(topics.environment).toMatch(new RegExp(`^  ${name} +${key.replace('.', '\\.')}(?!\\w)`, 'm'));
  }
});
