import { globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';

const root = join(import.meta.dirname, '../../..');
const read = (file: string): unknown => parse(readFileSync(join(root, file), 'utf8'));
const scripts = z
  .object({ scripts: z.record(z.string(), z.string()) })
  .parse(JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))).scripts;
const [, ciParts = ''] =
  /^# +[.]ci\/run \[PART ...\] +parts: ([a-z ]+);/m.exec(readFileSync(join(root, '.ci/run'), 'utf8')) ?? [];

const workflowSchema = z.object({
  jobs: z.record(
    z.string(),
    z.object({
      'runs-on': z.string(),
      steps: z.array(z.object({ uses: z.string().optional(), run: z.string().optional() })),
    }),
  ),
});

const workflows = globSync('.github/workflows/*.yml', { cwd: root });
test.each(workflows)('%s runs parts of .ci/run and scripts that are there', (file) => {
  const { jobs } = workflowSchema.parse(read(file));
  const lines = Object.values(jobs).flatMap(({ steps }) => steps.flatMap(({ run }) => run?.trim().split('\n') ?? []));
  const parts = lines.flatMap((line) => /^[.]ci\/run (.*)$/.exec(line)?.[1]?.split(' ') ?? []);
  expect(parts.filter((part) => !ciParts.split(' ').includes(part))).toEqual([]);
  const named = lines.flatMap((line) => /^npm run (?:-s )?(\S+)/.exec(line)?.[1] ?? []);
  expect(named.filter((name) => !(name in scripts))).toEqual([]);
  expect(parts.length + named.length).toBeGreaterThan(0);
});

test('together the workflows run every part of .ci/run', () => {
  const text = workflows.map((file) => readFileSync(join(root, file), 'utf8')).join('\n');
  const run = new Set([...text.matchAll(/[.]ci\/run ([a-z ]+)$/gm)].flatMap(([, parts = '']) => parts.split(' ')));
  expect([...run].sort()).toEqual(ciParts.split(' ').sort());
});

const formSchema = z.object({
  name: z.string(),
  description: z.string(),
  body: z.array(
    z.object({
      type: z.enum(['markdown', 'textarea', 'input', 'dropdown', 'checkboxes']),
      id: z.string(),
      attributes: z.object({ label: z.string() }),
      validations: z.object({ required: z.boolean() }).optional(),
    }),
  ),
});

test.each(globSync('.github/ISSUE_TEMPLATE/*.yml', { cwd: root }).filter((file) => basename(file) !== 'config.yml'))(
  '%s asks for the output of zpsend doctor --json',
  (file) => {
    const { body } = formSchema.parse(read(file));
    expect(new Set(body.map(({ id }) => id)).size).toBe(body.length);
    expect(body.filter(({ attributes }) => attributes.label.includes('zpsend doctor --json')).length).toBeGreaterThan(
      0,
    );
  },
);
