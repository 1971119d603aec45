import type { Command } from 'commander';
import type { Cli } from '../../context.ts';
import { addStoreGet } from './get.ts';
import { addStoreList } from './list.ts';

export function addStore(program: Command, cli: Cli): void {
  const store = program
    .command('store')
    .summary('list or read the streams stored for offline targets')
    .description('List or read the streams that a source host stored for offline targets.');
  addStoreList(store, cli);
  addStoreGet(store, cli);
}
