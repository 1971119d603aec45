import type { Host } from './hosts.ts';

export interface Snapshot {
  /** In full: `pool/a@x`. */
  readonly name: string;
  readonly dataset: string;
  readonly leaf: string;
  readonly guid: string;
}

export interface Listing {
  readonly datasets: readonly string[];
  /** Of each dataset oldest first. */
  readonly snapshots: readonly Snapshot[];
}

/** What lies at and below a dataset; nothing where that does not exist. */
export async function listed(host: Host, root: string): Promise<Listing> {
  const columns = ['list', '-Hp', '-r', '-s', 'createtxg', '-o', 'name,guid'];
  const rows = await host.zfs(...columns, '-t', 'filesystem,volume,snapshot', root).catch(() => '');
  const lines = rows.split('\n').filter((line) => line !== '');
  const all = lines.map((line) => line.split('\t')).map(([name = '', guid = '']) => ({ name, guid }));
  return {
    datasets: all.flatMap(({ name }) => (name.includes('@') ? [] : [name])),
    snapshots: all.flatMap(({ name, guid }) => {
      const [dataset = '', leaf] = name.split('@');
      return leaf === undefined ? [] : [{ name, dataset, leaf, guid }];
    }),
  };
}

export const snapshotsOf = ({ snapshots }: Listing, dataset: string): readonly Snapshot[] =>
  snapshots.filter((one) => one.dataset === dataset);
