import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { inventoryFileSchema } from '../../schemas/inventory.ts';
import { planReplySchema } from '../../schemas/plan.ts';

const bin = fileURLToPath(new URL('../../bin/zpsend.ts', import.meta.url));
const fixture = (name: string) => fileURLToPath(new URL(`../fixtures/inventories/${name}.json`, import.meta.url));
/** The tree of "Types of ZFS Snapshot Streams"; the target has pool/a/1@clone. */
const tree = fixture('stream-types');
/** The same, and the target lacks pool/a/1@clone. */
const withoutOrigin = fixture('stream-types-without-origin');
let folder = '';

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'zpsend-cli-packages-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** `zpsend plan --inventory`, without a NATS anywhere: port 1 refuses at once. */
const plan = (inventory: string, ...args: string[]) =>
  execa(process.execPath, [bin, 'plan', '--inventory', inventory, ...args], {
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

/** The tables of the document; its two slips, a snapshot that is its own base, are put right. */
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
    expect(stdout).toMatch(new RegExp(`^${rows.length} steps in 3 datasets to smos-00, about \\S+M$`, 'm'));
    expect([stderr, exitCode]).toEqual(['', 0]);
  });

  it('has every base on the target before it is used, and parents before their children', async () => {
    const reply = planReplySchema.parse(JSON.parse((await plan(tree, '--json', flags, 'pool/b@send')).stdout));
    const { target } = read(tree);
    const there = new Set(target.datasets.map(({ name }) => name));
    const held = new Set(target.datasets.flatMap(({ snapshots }) => snapshots.map(({ guid }) => guid)));
    const steps = reply.plan.ok ? reply.plan.steps : [];
    expect(steps).toHaveLength(wanted.length);
    for (const step of steps) {
      if (step.from) expect(held).toContain(step.from.guid);
      expect(there).toContain(step.target.replace(/\/[^/]*$/, ''));
      there.add(step.target);
      held.add(step.to.guid);
    }
  });
});

describe('without the origin of a clone on the target', () => {
  it.each(['-R', '-r'])('%s is refused, naming the clone, its origin and the ways out', async (flags) => {
    const { stdout, stderr, exitCode } = await plan(withoutOrigin, flags, 'pool/b@send');
    expect(stderr).toMatch(
      /^zpsend: ORIGIN_MISSING: pool\/b\/1 on smos-01 is a clone of pool\/a\/1@clone.*pool\/a\/1.*-c/,
    );
    expect([stdout, exitCode]).toEqual(['', 1]);
  });

  it.each(['-Rc', '-rc'] as const)('%s needs nothing else', async (flags) => {
    const { stdout, exitCode } = await plan(withoutOrigin, flags, 'pool/b@send');
    expect(stdout).toMatch(new RegExp(`^${tables[flags].length} steps in 3 datasets`, 'm'));
    expect(exitCode).toBe(0);
  });
});

describe('a package of which', () => {
  it('the target has all is nothing to do, with exit status 0', async () => {
    const path = changed('all', ({ source, target }) => {
      target.datasets = source.datasets;
    });
    const { stdout, exitCode } = await plan(path, '-R', 'pool/b@send');
    expect([stdout, exitCode]).toEqual(['nothing to do: smos-00 has all of pool/b@send', 0]);
  });

  it('one dataset is refused is planned without it, with exit status 3', async () => {
    const path = changed('diverged', ({ source, target }) => {
      const theirs = structuredClone(datasetIn(source, 'pool/b/2'));
      for (const snapshot of theirs.snapshots) snapshot.guid = `1${snapshot.guid.slice(0, -1)}`;
      target.datasets.push(datasetIn(source, 'pool/b'), theirs);
    });
    const { stdout, stderr, exitCode } = await plan(path, '-R', 'pool/b@send');
    expect(stdout).toMatch(/^3 steps in 1 dataset to smos-00/m);
    expect(stderr).toMatch(/^zpsend: DIVERGED: pool\/b\/2 on smos-01 .*\n {2}newest common: -\n/);
    expect(exitCode).toBe(3);
  });

  it('some datasets are left out says so in notes', async () => {
    const excluded = await plan(tree, '-R', '--exclude', '2', 'pool/b@send');
    expect(excluded.stdout).toMatch(/^note: pool\/b\/2 .*excluded by 2$/m);
    expect(excluded.stdout).toMatch(/^5 steps in 2 datasets/m);
    const twice = await plan(tree, '-R', '--exclude', '1', '--exclude', 'pool/b/2', 'pool/b@send');
    expect(twice.stdout).toMatch(/^2 steps in 1 dataset/m);
    const path = changed('missing', ({ source }) => {
      datasetIn(source, 'pool/b/2').snapshots.pop();
    });
    const skipped = await plan(path, '-R', '--skip-missing', 'pool/b@send');
    expect(skipped.stdout).toMatch(/^note: pool\/b\/2 .*no snapshot @send$/m);
    const refused = await plan(path, '-R', 'pool/b@send');
    expect([refused.exitCode, refused.stderr]).toEqual([1, expect.stringContaining('NO_SUCH_SNAPSHOT')]);
  });

  it('only some snapshots are wanted still has those that clones come from', async () => {
    const { stdout } = await plan(tree, '-R', '--snapshots', 'none-*', 'pool/b@send');
    const sent = stdout.split('\n').flatMap((line) => /^(?:full|incr) +(\S+)/.exec(line)?.[1] ?? []);
    expect(sent.toSorted()).toEqual(['pool/b/1@clone2', 'pool/b/1@send', 'pool/b/2@send', 'pool/b@send']);
  });

  it('goes below a dataset of the target is told with its new names', async () => {
    const path = await plan(tree, '-Rc', '-d', 'pool/b@send', 'smos-00:pool/backup');
    expect(path.stdout).toMatch(/^full +pool\/b\/1@clone2 .* pool\/backup\/b\/1$/m);
    expect(path.stdout).toMatch(/^note: pool\/backup does not exist on smos-00/m);
    const last = await plan(tree, '-c', '-e', 'pool/b/1@send', 'smos-00:pool');
    expect(last.stdout).toMatch(/ pool\/b\/1@clone2 .* pool\/1$/m);
  });
});

describe('a file that contradicts itself is refused with exit status 2', () => {
  it.each<[string, (file: File) => void, RegExp]>([
    ['a dataset twice', ({ source }) => source.datasets.push(datasetIn(source, 'pool/b/1')), /lists pool\/b\/1 twice/],
    [
      'two datasets with one guid',
      ({ source }) => {
        datasetIn(source, 'pool/b/2').guid = datasetIn(source, 'pool/b/1').guid;
      },
      /two datasets with the guid/,
    ],
    [
      'clones in a circle',
      ({ source }) => {
        const [one, two] = [datasetIn(source, 'pool/b/1'), datasetIn(source, 'pool/b/2')];
        one.origin = { name: 'pool/b/2@pre-send', guid: two.snapshots[0]?.guid ?? '' };
      },
      /clones in a circle: .*pool\/b\/1/,
    ],
  ])('%s', async (name, change, words) => {
    const { stdout, stderr, exitCode } = await plan(changed(name.replaceAll(' ', '-'), change), '-R', 'pool/b@send');
    expect(stderr).toMatch(/^zpsend: BAD_REQUEST: /);
    expect(stderr).toMatch(words);
    expect([stdout, exitCode]).toEqual(['', 2]);
  });
});
