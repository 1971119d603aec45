import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { inventoryFileSchema } from '../../../schemas/inventory.ts';
import { planReplySchema } from '../../../schemas/plan.ts';
import { codesOf, mentions } from '../../support/mentions.ts';
import { program } from '../../support/program.ts';

const fixture = (name: string) => fileURLToPath(new URL(`../../fixtures/inventories/${name}.json`, import.meta.url));
/** The tree of "Types of ZFS Snapshot Streams"; the target has pool/a/1@clone. */
const tree = fixture('stream-types');
/** The same, and the target lacks pool/a/1@clone. */
const withoutOrigin = fixture('stream-types-without-origin');
let folder = '';

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'zpsend-cli-packages-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** `zpsend plan --inventory`, without NATS: port 1 refuses at once. */
const plan = (inventory: string, ...args: string[]) =>
  execa(process.execPath, [program, 'plan', '--inventory', inventory, ...args], {
    reject: false,
    env: { NATS_URL: 'nats://127.0.0.1:1', ZPSEND_HOST: 'elsewhere', NATS_CONTEXT: '' },
  });

type File = ReturnType<typeof inventoryFileSchema.parse>;
const read = (path: string): File => inventoryFileSchema.parse(JSON.parse(readFileSync(path, 'utf8')));

/** The document's tree after a change. */
function changed(name: string, change: (file: File) => void): string {
  const file = read(tree);
  change(file);
  const path = join(folder, `${name}.json`);
  writeFileSync(path, JSON.stringify(file));
  return path;
}

const datasetIn = (listing: File['source'], name: string) => {
  const found = listing.datasets.find((dataset) => dataset.name === name);
  if (!found) throw new Error(`no ${name}`);
  return found;
};

/** The tables of the document, without its two errors, a snapshot as its own base. */
const tables = {
  '-R': [
    'full pool/b@pre-send -',
    'incr pool/b@send pool/b@pre-send',
    'incr pool/b/1@clone2 pool/a/1@clone',
    'incr pool/b/1@pre-send pool/b/1@clone2',
    'incr pool/b/1@send pool/b/1@pre-send',
    'incr pool/b/2@pre-send pool/b/1@clone2',
    'incr pool/b/2@send pool/b/2@pre-send',
  ],
  '-Rc': [
    'full pool/b@pre-send -',
    'full pool/b/1@clone2 -',
    'incr pool/b@send pool/b@pre-send',
    'incr pool/b/1@pre-send pool/b/1@clone2',
    'incr pool/b/1@send pool/b/1@pre-send',
    'incr pool/b/2@pre-send pool/b/1@clone2',
    'incr pool/b/2@send pool/b/2@pre-send',
  ],
  '-r': [
    'full pool/b@send -',
    'incr pool/b/1@clone2 pool/a/1@clone',
    'incr pool/b/1@send pool/b/1@clone2',
    'incr pool/b/2@send pool/b/1@clone2',
  ],
  '-rc': [
    'full pool/b@send -',
    'full pool/b/1@clone2 -',
    'incr pool/b/1@send pool/b/1@clone2',
    'incr pool/b/2@send pool/b/1@clone2',
  ],
};

describe.each(Object.entries(tables))("the document's tree, planned with %s", (flags, wanted) => {
  it('is the table of the document', async () => {
    const { stdout, stderr, exitCode } = await plan(tree, flags, 'pool/b@send');
    const [title, ...lines] = stdout.split('\n').map((line) => line.split(/ {2,}/).map((cell) => cell.trim()));
    expect(title).toEqual(['TYPE', 'SNAPSHOT', 'INCREMENTAL FROM', 'SIZE', 'TARGET']);
    const rows = lines.filter((cells) => cells.length > 1);
    expect(rows.map((cells) => cells.slice(0, 3).join(' ')).toSorted()).toEqual(wanted.toSorted());
    expect(rows.map(([, snapshot, , , target]) => snapshot?.startsWith(`${target}@`))).not.toContain(false);
    expect(stdout).toEqual(mentions(`${rows.length} steps`, '3 datasets', 'smos-00'));
    expect([stderr, exitCode]).toEqual(['', 0]);
  });

  it('has every base on the target before it is used, and parents before their children', async () => {
    const reply = planReplySchema.parse(JSON.parse((await plan(tree, '--json', flags, 'pool/b@send')).stdout));
    const { target } = read(tree);
    const there = new Set(target.datasets.map(({ name }) => name));
    const existing = new Set(target.datasets.flatMap(({ snapshots }) => snapshots.map(({ guid }) => guid)));
    const steps = reply.plan.ok ? reply.plan.steps : [];
    expect(steps).toHaveLength(wanted.length);
    for (const step of steps) {
      if (step.from) expect(existing).toContain(step.from.guid);
      expect(there).toContain(step.targetDataset.replace(/\/[^/]*$/, ''));
      there.add(step.targetDataset);
      existing.add(step.to.guid);
    }
  });
});

const notesOf = (stdout: string): string[] => stdout.split('\n').filter((line) => line.startsWith('note: '));

describe('without the origin of a clone on the target', () => {
  it.each(['-R', '-r'])('%s is refused with the clone, its origin and the remedies', async (flags) => {
    const { stdout, stderr, exitCode } = await plan(withoutOrigin, flags, 'pool/b@send');
    expect(codesOf(stderr)).toEqual(['ORIGIN_MISSING']);
    expect(stderr).toEqual(mentions('pool/b/1', 'smos-01', 'pool/a/1@clone', 'pool/a/1', '-c'));
    expect([stdout, exitCode]).toEqual(['', 1]);
  });

  it.each(['-Rc', '-rc'] as const)('%s is planned', async (flags) => {
    const { stdout, exitCode } = await plan(withoutOrigin, flags, 'pool/b@send');
    expect(stdout).toEqual(mentions(`${tables[flags].length} steps`, '3 datasets'));
    expect(exitCode).toBe(0);
  });
});

describe('a package', () => {
  it('that the target has in full is nothing to do, with exit status 0', async () => {
    const path = changed('all', ({ source, target }) => {
      target.datasets = source.datasets;
    });
    const { stdout, exitCode } = await plan(path, '-R', 'pool/b@send');
    expect([stdout, exitCode]).toEqual([mentions('smos-00', 'pool/b@send'), 0]);
    expect(stdout.split('\n')).toHaveLength(1);
  });

  it('with a refused dataset is planned without it, with exit status 3', async () => {
    const path = changed('diverged', ({ source, target }) => {
      const theirs = structuredClone(datasetIn(source, 'pool/b/2'));
      for (const snapshot of theirs.snapshots) snapshot.guid = `1${snapshot.guid.slice(0, -1)}`;
      target.datasets.push(datasetIn(source, 'pool/b'), theirs);
    });
    const { stdout, stderr, exitCode } = await plan(path, '-R', 'pool/b@send');
    expect(stdout).toEqual(mentions('3 steps', '1 dataset', 'smos-00'));
    expect(codesOf(stderr)).toEqual(['DIVERGED']);
    expect(stderr).toEqual(mentions('pool/b/2', 'smos-01'));
    expect(stderr).toMatch(/^ {2}newest common: -$/m);
    expect(exitCode).toBe(3);
  });

  it('without some datasets has notes about them', async () => {
    const excluded = await plan(tree, '-R', '--exclude', '2', 'pool/b@send');
    expect(notesOf(excluded.stdout)).toEqual([mentions('pool/b/2', 2)]);
    expect(excluded.stdout).toEqual(mentions('5 steps', '2 datasets'));
    const twice = await plan(tree, '-R', '--exclude', '1', '--exclude', 'pool/b/2', 'pool/b@send');
    expect(twice.stdout).toEqual(mentions('2 steps', '1 dataset'));
    const path = changed('missing', ({ source }) => {
      datasetIn(source, 'pool/b/2').snapshots.pop();
    });
    const skipped = await plan(path, '-R', '--skip-missing', 'pool/b@send');
    expect(notesOf(skipped.stdout)).toEqual([mentions('pool/b/2', '@send')]);
    const refused = await plan(path, '-R', 'pool/b@send');
    expect([refused.exitCode, codesOf(refused.stderr)]).toEqual([1, ['NO_SUCH_SNAPSHOT']]);
  });

  it('with --snapshots keeps the origins of clones', async () => {
    const { stdout } = await plan(tree, '-R', '--snapshots', 'none-*', 'pool/b@send');
    const sent = stdout.split('\n').flatMap((line) => /^(?:full|incr) +(\S+)/.exec(line)?.[1] ?? []);
    expect(sent.toSorted()).toEqual(['pool/b/1@clone2', 'pool/b/1@send', 'pool/b/2@send', 'pool/b@send']);
  });

  it('below a dataset of the target has its new names', async () => {
    const path = await plan(tree, '-Rc', '-d', 'pool/b@send', 'smos-00:pool/backup');
    expect(path.stdout).toMatch(/^full +pool\/b\/1@clone2 .* pool\/backup\/b\/1$/m);
    expect(notesOf(path.stdout)).toContainEqual(mentions('pool/backup', 'smos-00'));
    const last = await plan(tree, '-c', '-e', 'pool/b/1@send', 'smos-00:pool');
    expect(last.stdout).toMatch(/ pool\/b\/1@clone2 .* pool\/1$/m);
  });
});

describe('a file that contradicts itself is refused with exit status 2', () => {
  it.each<[string, (file: File) => void, string[]]>([
    ['a dataset twice', ({ source }) => source.datasets.push(datasetIn(source, 'pool/b/1')), ['pool/b/1']],
    [
      'two datasets with one guid',
      ({ source }) => {
        datasetIn(source, 'pool/b/2').guid = datasetIn(source, 'pool/b/1').guid;
      },
      ['pool/b/1', 'pool/b/2'],
    ],
    [
      'clones in a circle',
      ({ source }) => {
        const [one, two] = [datasetIn(source, 'pool/b/1'), datasetIn(source, 'pool/b/2')];
        one.origin = { name: 'pool/b/2@pre-send', guid: two.snapshots[0]?.guid ?? '' };
      },
      ['pool/b/1'],
    ],
  ])('%s', async (name, change, facts) => {
    const { stdout, stderr, exitCode } = await plan(changed(name.replaceAll(' ', '-'), change), '-R', 'pool/b@send');
    expect(codesOf(stderr)).toEqual(['BAD_REQUEST']);
    expect(stderr).toEqual(mentions(...facts));
    expect([stdout, exitCode]).toEqual(['', 2]);
  });
});
