import type { Command } from 'commander';
import type { Cli } from '../../context.ts';
import { addStoreGet } from './get.ts';
import { addStoreList } from './list.ts';

export function addStore(program: Command, cli: Cli): void {
  const store = program
    .command('store')
    .summary('list or read the streams that wait in the store of a host')
    .description('Shows what a source host keeps in the object store for targets to fetch, and reads it by hand.');
  addStoreList(store, cli);
  addStoreGet(store, cli);
}
