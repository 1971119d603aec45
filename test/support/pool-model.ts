import type { ConflictResolution } from '../../schemas/conflict.ts';
import type { DatasetEntry, Inventory, SnapshotEntry } from '../../schemas/inventory.ts';
import { datasetOf, isWithin, leafOf, parentOf } from '../../schemas/names.ts';
import type { Step } from '../../schemas/plan.ts';

/** The one size of volumes, as in `create -V 1M pool/v`. */
const volumeSize = '1M';

interface Snap {
  name: string;
  guid: string;
  createtxg: number;
}

interface Dataset {
  type: DatasetEntry['type'];
  guid: string;
  createtxg: number;
  /** The snapshot it is a clone of; it stays the same thing when it is renamed or moved by a promotion. */
  origin?: Snap;
  snapshots: Snap[];
  bookmarks: Snap[];
  /** Something was written since the newest snapshot. */
  modified?: boolean;
  /** A receiver made it above what it received. */
  placeholder?: true;
}

/** Guids that no two models share, in one run always the same. */
export interface Guids {
  next: number;
}

/**
 * A host's datasets as data, and what `zfs` commands do to them: the mini-language of histories is their own words,
 * `snapshot -r pool/b@send`, so that a history can be carried out on real ZFS as well.
 */
export class PoolModel {
  readonly host: string;
  readonly datasets = new Map<string, Dataset>();
  #txg = 1;
  readonly #guids: Guids;

  constructor(host: string, pool: string, guids: Guids = { next: 1000 }) {
    this.host = host;
    this.#guids = guids;
    this.datasets.set(pool, this.#fresh('filesystem'));
  }

  /** Carries out commands, a line each; throws where ZFS would refuse. */
  run(...commands: string[]): this {
    for (const command of commands) if (!this.do(command)) throw new Error(`refused: ${command}`);
    return this;
  }

  /** Carries out one command. @returns whether ZFS would have */
  do(command: string): boolean {
    const [verb, ...words] = command.trim().split(/ +/);
    const flags = words.filter((word) => word.startsWith('-'));
    const [first = '', second = ''] = words.filter((word) => !word.startsWith('-') && word !== volumeSize);
    switch (verb) {
      case 'create':
        return this.#create(first, flags.includes('-V') ? 'volume' : 'filesystem');
      case 'snapshot':
        return this.#snapshot(first, flags.includes('-r'));
      case 'clone':
        return this.#clone(first, second);
      case 'promote':
        return this.#promote(first);
      case 'rename':
        return first.includes('@') ? this.#renameSnapshot(first, second) : this.#rename(first, second);
      case 'bookmark':
        return this.#bookmark(first, second);
      case 'write':
        return this.#write(first);
      case 'destroy':
        return first.includes('@') ? this.#destroySnapshot(first) : this.#destroy(first);
      default:
        throw new Error(`not a command of the model: ${command}`);
    }
  }

  /** What `zfs list` would show. */
  inventory(): Inventory {
    const names = new Map<Snap, string>();
    for (const [name, { snapshots }] of this.datasets)
      for (const snap of snapshots) names.set(snap, `${name}@${snap.name}`);
    const datasets = [...this.datasets].map(([name, dataset]): DatasetEntry => {
      const { type, guid, createtxg, origin, snapshots, bookmarks, modified, placeholder } = dataset;
      const originName = origin && names.get(origin);
      return {
        name,
        type,
        guid,
        createtxg: String(createtxg),
        used: 0,
        referenced: 0,
        written: modified ? 1 : 0,
        encryption: 'off',
        ...(placeholder && { placeholder }),
        ...(origin && originName && { origin: { name: originName, guid: origin.guid } }),
        snapshots: snapshots.map(entryOf),
        bookmarks: bookmarks.map(({ name: leaf, guid: of, createtxg: at }) => ({
          name: leaf,
          guid: of,
          createtxg: String(at),
        })),
      };
    });
    return { host: this.host, datasets: datasets.sort((a, b) => (a.name < b.name ? -1 : 1)) };
  }

  /** Does what `zfs send` on the source and `zfs receive` here would do with the step, or throws as they would fail. */
  receive(step: Step, source: PoolModel, placeholders: ReadonlySet<string> = new Set()): void {
    const must = (fact: boolean, what: string) => {
      if (!fact) throw new Error(`${what}: ${JSON.stringify(step)}`);
    };
    const sent = source.find(step.to.name);
    must(sent?.guid === step.to.guid, 'the source does not have what is sent');
    must((step.type === 'full') === (step.from === undefined), 'a full stream has no base, an incremental has one');
    const base = step.from && source.find(step.from.name);
    must(base?.guid === step.from?.guid, 'the source does not have the base');
    if (base && sent) must(base.createtxg < sent.createtxg, 'the base is not older');
    const existing = this.datasets.get(step.targetDataset);
    const isClones = step.from !== undefined && datasetOf(step.from.name) !== datasetOf(step.to.name);
    const leaf = leafOf(step.to.name) ?? '';
    if (step.from === undefined || step.origin !== undefined) {
      must(existing === undefined, 'would overwrite a dataset');
      this.#makeParents(step.targetDataset, placeholders, must);
      const origin = step.origin === undefined ? undefined : this.find(step.origin);
      must(origin?.guid === step.from?.guid, 'the target does not have the origin');
      const type = source.datasets.get(datasetOf(step.to.name))?.type ?? 'filesystem';
      this.datasets.set(step.targetDataset, { ...this.#fresh(type), ...(origin && { origin }) });
    } else {
      must(!isClones, "a clone's stream goes into a dataset that exists");
      must(existing?.snapshots.at(-1)?.guid === step.from.guid, 'the base is not the newest on the target');
      must(!existing?.modified, 'the target was modified');
    }
    const into = this.datasets.get(step.targetDataset);
    must(!into?.snapshots.some((snap) => snap.name === leaf), 'the name is taken');
    into?.snapshots.push({ name: leaf, guid: step.to.guid, createtxg: this.#tick() });
  }

  /** Does what a receiver does to its target before it receives, or throws where it would refuse. */
  clear(resolution: ConflictResolution): void {
    const must = (fact: boolean, what: string) => {
      if (!fact) throw new Error(`${what}: ${JSON.stringify(resolution)}`);
    };
    if (resolution.kind === 'rename') {
      must(this.datasets.get(resolution.from)?.guid === resolution.guid, 'another dataset would be renamed');
      must(this.#rename(resolution.from, resolution.to), 'cannot be renamed');
      return;
    }
    const name = datasetOf(resolution.to.name);
    const to = this.find(resolution.to.name);
    must(to?.guid === resolution.to.guid, 'there is nothing to go back to');
    for (const { name: leaf, guid } of resolution.destroys) {
      must(this.find(`${name}@${leaf}`)?.guid === guid, 'another snapshot would be destroyed');
      must(this.#destroySnapshot(`${name}@${leaf}`), 'a snapshot cannot be destroyed');
    }
    const dataset = this.datasets.get(name);
    for (const { name: leaf, guid } of resolution.cursors ?? []) {
      must(this.find(`${name}#${leaf}`)?.guid === guid, 'another bookmark would be removed');
      if (dataset) dataset.bookmarks = dataset.bookmarks.filter((mark) => mark.name !== leaf);
    }
    must(dataset?.snapshots.at(-1) === to, 'something newer is there');
    must(!dataset?.bookmarks.some(({ createtxg }) => to && createtxg > to.createtxg), 'a newer bookmark is there');
    if (dataset) dataset.modified = false;
  }

  /** A snapshot or bookmark by its full name. */
  find(name: string): Snap | undefined {
    const dataset = this.datasets.get(datasetOf(name));
    const list = name.includes('#') ? dataset?.bookmarks : dataset?.snapshots;
    return list?.find((snap) => snap.name === leafOf(name));
  }

  /** Every snapshot's guid in a tree. */
  guidsWithin(root: string): Set<string> {
    const guids = new Set<string>();
    for (const [name, { snapshots }] of this.datasets)
      if (isWithin(name, root)) for (const { guid } of snapshots) guids.add(guid);
    return guids;
  }

  #tick = (): number => ++this.#txg;
  #guid = (): string => String(this.#guids.next++);
  #fresh = (type: Dataset['type']): Dataset => ({
    type,
    guid: this.#guid(),
    createtxg: this.#tick(),
    snapshots: [],
    bookmarks: [],
  });
  #below = (root: string): [string, Dataset][] => [...this.datasets].filter(([name]) => isWithin(name, root));
  #clonesOf = (snap: Snap): string[] =>
    [...this.datasets].filter(([, { origin }]) => origin === snap).map(([name]) => name);
  #hasRoom = (name: string): boolean =>
    !this.datasets.has(name) && this.datasets.get(parentOf(name) ?? '')?.type === 'filesystem';

  #create(name: string, type: Dataset['type']): boolean {
    if (!this.#hasRoom(name)) return false;
    this.datasets.set(name, this.#fresh(type));
    return true;
  }

  #snapshot(named: string, recursive: boolean): boolean {
    const [root, leaf = ''] = [datasetOf(named), leafOf(named)];
    const all = recursive ? this.#below(root) : this.#below(root).filter(([name]) => name === root);
    if (all.length === 0 || all.some(([, { snapshots }]) => snapshots.some(({ name }) => name === leaf))) return false;
    const createtxg = this.#tick();
    for (const [, dataset] of all) {
      dataset.snapshots.push({ name: leaf, guid: this.#guid(), createtxg });
      dataset.modified = false;
    }
    return true;
  }

  #clone(from: string, name: string): boolean {
    const origin = this.find(from);
    if (origin === undefined || !this.#hasRoom(name)) return false;
    this.datasets.set(name, { ...this.#fresh(this.datasets.get(datasetOf(from))?.type ?? 'filesystem'), origin });
    return true;
  }

  /** Snapshots up to the origin move into the clone, and what they belonged to becomes a clone of it (zfs-promote(8)). */
  #promote(name: string): boolean {
    const clone = this.datasets.get(name);
    const origin = clone?.origin;
    const parent = [...this.datasets.values()].find(({ snapshots }) => origin && snapshots.includes(origin));
    if (!clone || !origin || !parent) return false;
    const moving = parent.snapshots.slice(0, parent.snapshots.indexOf(origin) + 1);
    if (moving.some((snap) => clone.snapshots.some(({ name: leaf }) => leaf === snap.name))) return false;
    parent.snapshots = parent.snapshots.slice(moving.length);
    clone.snapshots = [...moving, ...clone.snapshots];
    const { origin: _, ...rest } = clone;
    this.datasets.set(name, { ...rest, ...(parent.origin && { origin: parent.origin }) });
    parent.origin = origin;
    return true;
  }

  #rename(name: string, other: string): boolean {
    if (!this.datasets.has(name) || parentOf(name) === undefined || isWithin(other, name)) return false;
    if (!this.#hasRoom(other)) return false;
    for (const [below, dataset] of this.#below(name)) {
      this.datasets.delete(below);
      this.datasets.set(`${other}${below.slice(name.length)}`, dataset);
    }
    return true;
  }

  #renameSnapshot(name: string, other: string): boolean {
    const snap = this.find(name);
    if (!snap || this.find(`${datasetOf(name)}@${leafOf(other)}`)) return false;
    snap.name = leafOf(other) ?? '';
    return true;
  }

  #bookmark(name: string, mark: string): boolean {
    const snap = this.find(name);
    if (!snap || this.find(mark)) return false;
    this.datasets.get(datasetOf(name))?.bookmarks.push({ ...snap, name: leafOf(mark) ?? '' });
    return true;
  }

  #write(name: string): boolean {
    const dataset = this.datasets.get(name);
    if (dataset) dataset.modified = true;
    return dataset !== undefined;
  }

  #destroySnapshot(name: string): boolean {
    const snap = this.find(name);
    const dataset = this.datasets.get(datasetOf(name));
    if (!snap || !dataset || this.#clonesOf(snap).length > 0) return false;
    dataset.snapshots = dataset.snapshots.filter((one) => one !== snap);
    return true;
  }

  /** A dataset with its snapshots, as `zfs destroy -r` would: not the pool, and not with clones outside. */
  #destroy(name: string): boolean {
    const all = this.#below(name);
    if (all.length === 0 || parentOf(name) === undefined) return false;
    const gone = new Set(all.map(([below]) => below));
    const clones = all.flatMap(([, { snapshots }]) => snapshots.flatMap((snap) => this.#clonesOf(snap)));
    if (clones.some((clone) => !gone.has(clone))) return false;
    for (const below of gone) this.datasets.delete(below);
    return true;
  }

  #makeParents(target: string, placeholders: ReadonlySet<string>, must: (fact: boolean, what: string) => void): void {
    const missing: string[] = [];
    for (let above = parentOf(target); above !== undefined && !this.datasets.has(above); above = parentOf(above))
      missing.unshift(above);
    for (const name of missing) {
      must(placeholders.has(name), `${name} does not exist and is not noted to be made`);
      this.datasets.set(name, { ...this.#fresh('filesystem'), placeholder: true });
    }
  }
}

const entryOf = ({ name, guid, createtxg }: Snap): SnapshotEntry => ({
  name,
  guid,
  createtxg: String(createtxg),
  used: 0,
  referenced: 100,
  written: 10,
  userrefs: 0,
});
