import { describe, expect, test } from 'vitest';
import { lab } from './zfs-under-test.ts';

const z = lab();
const done = { exit: 0, stdout: '', stderr: '' };

/** Names below a pool, the pool's own part left out. */
const below = (pool: string, lines: string[]) => lines.map((line) => line.replaceAll(`${pool}/`, ''));
const originsOf = (dataset: string) =>
  below(z.source, z.ok('list', '-H', '-r', '-o', 'name,origin', `${z.source}/${dataset}`));
const snapshotsOf = (dataset: string) =>
  below(z.source, z.ok('list', '-H', '-t', 'snapshot', '-o', 'name', `${z.source}/${dataset}`));
const said = (...argv: string[]): string => {
  const { exit, stderr } = z.zfs(...argv);
  expect([argv[0], exit]).toEqual([argv[0], 1]);
  return stderr;
};

/** A filesystem with a snapshot after each of some writes. */
function history(name: string, ...snapshots: string[]): string {
  z.ok('create', name);
  for (const snapshot of snapshots) {
    z.write(name, 200_000);
    z.ok('snapshot', `${name}@${snapshot}`);
  }
  return name;
}

/** Sends `to`, full or from a base, and receives it into the named snapshot, as a clone where `origin` is given. */
function bring(to: string, into: string, base?: { from: string; origin?: string }) {
  const stream = z.stream(...(base ? ['-i', base.from] : []), to);
  return z.feed(
    stream,
    'receive',
    '-s',
    '-u',
    ...(base?.origin === undefined ? [] : ['-o', `origin=${base.origin}`]),
    into,
  );
}

test('clones of clones arrive as clones, in a tree whose snapshots have one createtxg', () => {
  const [s, t] = [`${z.source}/tree`, `${z.target}/tree`];
  history(s);
  history(`${s}/a`, 'clone');
  history(`${s}/b`);
  z.ok('clone', `${s}/a@clone`, `${s}/b/1`);
  z.write(`${s}/b/1`, 200_000);
  z.ok('snapshot', `${s}/b/1@clone2`);
  z.ok('clone', `${s}/b/1@clone2`, `${s}/b/2`);
  z.write(`${s}/b/2`, 200_000);
  z.ok('snapshot', '-r', `${s}/b@send`);
  expect(originsOf('tree')).toEqual([
    'tree\t-',
    'tree/a\t-',
    'tree/b\t-',
    'tree/b/1\ttree/a@clone',
    'tree/b/2\ttree/b/1@clone2',
  ]);
  const txgs = z.ok('list', '-Hp', '-r', '-t', 'snapshot', '-o', 'createtxg,name', `${s}/b`);
  expect(new Set(txgs.filter((line) => line.endsWith('@send')).map((line) => line.split('\t')[0])).size).toBe(1);

  // one that exists keeps all of them from being made
  z.ok('snapshot', `${s}/b/1@once`);
  expect(said('snapshot', '-r', `${s}/b@once`)).toBe(
    `cannot create snapshot '${s}/b/1@once': dataset already exists\nno snapshots were created\n`,
  );
  expect(snapshotsOf('tree/b')).toEqual(['tree/b@send']);

  z.ok('create', t);
  expect(bring(`${s}/a@clone`, `${t}/a@clone`)).toEqual(done);
  expect(bring(`${s}/b@send`, `${t}/b@send`)).toEqual(done);
  expect(bring(`${s}/b/1@clone2`, `${t}/b/1@clone2`, { from: `${s}/a@clone`, origin: `${t}/a@clone` })).toEqual(done);
  expect(bring(`${s}/b/1@send`, `${t}/b/1@send`, { from: '@clone2' })).toEqual(done);
  // without an origin given it is found by its guid
  expect(bring(`${s}/b/2@send`, `${t}/b/2@send`, { from: `${s}/b/1@clone2` })).toEqual(done);
  expect(z.ok('list', '-H', '-r', '-o', 'origin', `${t}/b`)).toEqual(['-', `${t}/a@clone`, `${t}/b/1@clone2`]);
  expect(z.digest(`${t}/b/2@send`)).toBe(z.digest(`${s}/b/2@send`));
  // self-contained: whole, and no clone
  expect(bring(`${s}/b/2@send`, `${t}/whole@send`)).toEqual(done);
  expect(z.value('origin', `${t}/whole`)).toBe('-');
  expect(z.digest(`${t}/whole@send`)).toBe(z.digest(`${s}/b/2@send`));
});

test('with a given origin an ordinary incremental makes a clone too; an existing dataset receives none of a clone', () => {
  const [s, t] = [history(`${z.source}/plain`, '1', '2', '3'), `${z.target}/plain`];
  expect(bring(`${s}@1`, `${t}@1`)).toEqual(done);
  const step = { from: '@1', origin: `${t}@1` };
  expect(bring(`${s}@2`, `${t}-2@2`, step)).toEqual(done);
  expect(z.value('origin', `${t}-2`)).toBe(`${t}@1`);
  expect(z.digest(`${t}-2@2`)).toBe(z.digest(`${s}@2`));
  expect(bring(`${s}@3`, `${t}-3@3`, { ...step, from: '@2' })).toMatchObject({
    exit: 1,
    stderr: `cannot receive new filesystem stream: most recent snapshot of ${t}-3 does not\nmatch incremental source\n`,
  });
  const exists = {
    exit: 1,
    stderr: `cannot receive new filesystem stream: destination '${t}' exists\nmust specify -F to overwrite it\n`,
  };
  expect(bring(`${s}@2`, `${t}@2`, step)).toMatchObject(exists);
  z.ok('clone', `${s}@1`, `${s}-clone`);
  z.ok('snapshot', `${s}-clone@c`);
  expect(bring(`${s}-clone@c`, `${t}@c`, { from: `${s}@1` })).toMatchObject(exists);
});

test('a clone’s earlier snapshots are in its origin’s dataset, for snapshots and for bookmarks', () => {
  const [s, t] = [history(`${z.source}/past`, '1', '2', '3'), `${z.target}/past`];
  for (const name of ['1', '2', '3']) z.ok('bookmark', `${s}@${name}`, `#${name}`);
  z.ok('clone', `${s}@2`, `${s}-clone`);
  z.write(`${s}-clone`, 200_000);
  z.ok('snapshot', `${s}-clone@c`);
  expect(bring(`${s}@1`, `${t}@1`)).toEqual(done);
  expect(bring(`${s}@2`, `${t}@2`, { from: '@1' })).toEqual(done);
  const bases = [`${s}@1`, `${s}@2`, `${s}#1`, `${s}#2`];
  for (const [at, from] of bases.entries()) {
    const origin = `${t}@${from.slice(-1)}`;
    expect([from, bring(`${s}-clone@c`, `${t}-${at}@c`, { from, origin })]).toEqual([from, done]);
    expect(z.value('origin', `${t}-${at}`)).toBe(origin);
  }
  expect(z.digest(`${t}-0@c`)).toBe(z.digest(`${s}-clone@c`));
  expect(z.digest(`${t}-3@c`)).toBe(z.digest(`${s}-clone@c`));
  for (const later of [`${s}@3`, `${s}#3`]) {
    expect(said('send', '-i', later, `${s}-clone@c`)).toMatch(/: not an earlier snapshot from the same fs\n$/);
  }
});

test('an interrupted clone continues from its token without its origin', () => {
  const [s, t] = [history(`${z.source}/cut`, '1'), `${z.target}/cut`];
  z.ok('clone', `${s}@1`, `${s}-clone`);
  for (const name of [s, `${s}-clone`]) {
    z.write(name, 4_000_000);
    z.ok('snapshot', `${name}@2`);
  }
  expect(bring(`${s}@1`, `${t}@1`)).toEqual(done);
  // an incremental of the origin's own dataset, and one of its clone
  for (const [at, to] of [`${s}@2`, `${s}-clone@2`].entries()) {
    const into = `${t}-${at}`;
    const cut = z.stream('-i', `${s}@1`, to).subarray(0, 3_000_000);
    expect(z.feed(cut, 'receive', '-s', '-u', '-o', `origin=${t}@1`, `${into}@2`).exit).toBe(1);
    const rest = z.stream('-t', z.value('receive_resume_token', into));
    expect([to, z.feed(rest, 'receive', '-s', '-u', `${into}@2`)]).toEqual([to, done]);
    expect(z.value('origin', into)).toBe(`${t}@1`);
    expect(z.digest(`${into}@2`)).toBe(z.digest(to));
  }
});

describe('promote', () => {
  test('takes over the origin, its earlier snapshots, and all their clones; one promote is one generation', () => {
    const a = history(`${z.source}/pa`, '1', '2', '3');
    const [c, d, e] = [`${z.source}/pc`, `${z.source}/pd`, `${z.source}/pe`];
    z.ok('clone', `${a}@2`, c);
    z.ok('snapshot', `${c}@c`);
    z.ok('clone', `${c}@c`, d);
    z.ok('snapshot', `${d}@d`);
    z.ok('clone', `${a}@1`, e);
    const origins = () => [a, c, d, e].flatMap((name) => originsOf(name.slice(z.source.length + 1)));
    const guid = z.value('guid', `${a}@1`);

    z.ok('promote', d);
    expect(origins()).toEqual(['pa\t-', 'pc\tpd@c', 'pd\tpa@2', 'pe\tpa@1']);
    expect(snapshotsOf('pd')).toEqual(['pd@c', 'pd@d']);
    z.ok('promote', d);
    expect(origins()).toEqual(['pa\tpd@2', 'pc\tpd@c', 'pd\t-', 'pe\tpd@1']);
    expect([snapshotsOf('pa'), snapshotsOf('pc'), snapshotsOf('pd')]).toEqual([
      ['pa@3'],
      [],
      ['pd@1', 'pd@2', 'pd@c', 'pd@d'],
    ]);
    expect(z.value('guid', `${d}@1`)).toBe(guid);
    expect(said('destroy', '-r', d)).toMatch(
      /^cannot destroy '\S+\/pd': filesystem has dependent clones\nuse '-R' to destroy the following datasets:\n/,
    );
  });

  test('is refused if a snapshot that would move has an existing name', () => {
    const [s, clone] = [history(`${z.source}/clash`, '1', '2'), `${z.source}/clash-clone`];
    z.ok('clone', `${s}@2`, clone);
    z.ok('snapshot', `${clone}@1`);
    expect(said('promote', clone)).toBe(`cannot promote '${clone}': conflicting snapshot '1' from parent '${s}@2'\n`);
    expect(snapshotsOf('clash')).toEqual(['clash@1', 'clash@2']);
  });

  test('makes the next incremental of the old dataset a clone’s, which only a bookmark of the base fixes', () => {
    const [s, t] = [history(`${z.source}/next`, '1'), `${z.target}/next`];
    expect(bring(`${s}@1`, `${t}@1`)).toEqual(done);
    z.ok('clone', `${s}@1`, `${s}-clone`);
    z.ok('promote', `${s}-clone`);
    z.write(s, 200_000);
    z.ok('snapshot', `${s}@2`);
    expect(bring(`${s}@2`, `${t}@2`, { from: `${s}-clone@1` })).toMatchObject({
      exit: 1,
      stderr: `cannot receive new filesystem stream: destination '${t}' exists\nmust specify -F to overwrite it\n`,
    });
    z.ok('bookmark', `${s}-clone@1`, `${s}#base`);
    expect(bring(`${s}@2`, `${t}@2`, { from: `${s}#base` })).toEqual(done);
    expect(z.digest(`${t}@2`)).toBe(z.digest(`${s}@2`));
  });
});

test('a rename moves children, snapshots and the origins of clones too', () => {
  const s = history(`${z.source}/old`);
  history(`${s}/kid`, '1');
  z.ok('snapshot', '-r', `${s}@all`);
  z.ok('clone', `${s}/kid@1`, `${z.source}/old-clone`);
  z.ok('rename', s, `${z.source}/new`);
  z.ok('rename', '-r', `${z.source}/new@all`, '@every');
  expect(originsOf('old-clone')).toEqual(['old-clone\tnew/kid@1']);
  expect(below(z.source, z.ok('list', '-H', '-r', '-t', 'all', '-o', 'name', `${z.source}/new`))).toEqual([
    'new',
    'new@every',
    'new/kid',
    'new/kid@1',
    'new/kid@every',
  ]);
  z.ok('rename', '-p', `${z.source}/new/kid`, `${z.source}/far/away/kid`);
  expect(originsOf('old-clone')).toEqual(['old-clone\tfar/away/kid@1']);
  expect(said('rename', `${z.source}/far`, `${z.source}/far/away/far`)).toBe(
    `cannot rename to '${z.source}/far/away/far': New dataset name cannot be a descendant of current dataset name\n`,
  );
});

test('volumes have snapshots and clones as filesystems have, and no children', () => {
  const [s, t] = [`${z.source}/vol`, `${z.target}/vol`];
  z.ok('create', '-s', '-V', '8M', s);
  z.ok('snapshot', `${s}@1`);
  z.ok('clone', `${s}@1`, `${s}-clone`);
  z.ok('snapshot', `${s}-clone@c`);
  expect(bring(`${s}@1`, `${t}@1`)).toEqual(done);
  expect(bring(`${s}-clone@c`, `${t}-clone@c`, { from: `${s}@1`, origin: `${t}@1` })).toEqual(done);
  expect(z.ok('list', '-Hp', '-o', 'type,volsize,origin', t, `${t}-clone`)).toEqual([
    `volume\t${8 << 20}\t-`,
    `volume\t${8 << 20}\t${t}@1`,
  ]);
  expect(said('destroy', s)).toMatch(/^cannot destroy '\S+\/vol': volume has children\n/);
  expect(said('create', `${t}/x`)).toBe(`cannot create '${t}/x': parent is not a filesystem\n`);
  expect(bring(`${s}@1`, `${t}/x@1`)).toMatchObject({
    exit: 1,
    stderr: `cannot receive new filesystem stream: parent '${t}' is not a filesystem\n`,
  });
});
