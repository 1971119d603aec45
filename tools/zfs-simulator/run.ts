import { complain } from './output.ts';
import { Refusal } from './refusal.ts';

/** A command returns its exit status, or nothing for 0. */
type Command = (argv: readonly string[]) => unknown;

/** Loads a command only when it runs: most invocations are short. */
const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  'zfs bookmark': async () => (await import('./snapshots.ts')).bookmark,
  'zfs change-key': async () => (await import('./key-commands.ts')).changeKey,
  'zfs clone': async () => (await import('./datasets.ts')).clone,
  'zfs create': async () => (await import('./datasets.ts')).create,
  'zfs destroy': async () => (await import('./destroy.ts')).destroy,
  'zfs get': async () => (await import('./get.ts')).get,
  'zfs hold': async () => (await import('./holds.ts')).hold,
  'zfs holds': async () => (await import('./holds.ts')).holds,
  'zfs inherit': async () => (await import('./set.ts')).inherit,
  'zfs list': async () => (await import('./list.ts')).list,
  'zfs load-key': async () => (await import('./key-commands.ts')).loadKey,
  'zfs mount': async () => (await import('./mounts.ts')).mount,
  'zfs promote': async () => (await import('./promote.ts')).promote,
  'zfs receive': async () => (await import('./receive.ts')).receive,
  'zfs recv': async () => (await import('./receive.ts')).receive,
  'zfs redact': async () => (await import('./redact.ts')).redact,
  'zfs release': async () => (await import('./holds.ts')).release,
  'zfs rename': async () => (await import('./rename.ts')).rename,
  'zfs rollback': async () => (await import('./snapshots.ts')).rollback,
  'zfs send': async () => (await import('./send.ts')).send,
  'zfs set': async () => (await import('./set.ts')).set,
  'zfs snap': async () => (await import('./snapshots.ts')).snapshot,
  'zfs snapshot': async () => (await import('./snapshots.ts')).snapshot,
  'zfs umount': async () => (await import('./mounts.ts')).unmount,
  'zfs unload-key': async () => (await import('./key-commands.ts')).unloadKey,
  'zfs unmount': async () => (await import('./mounts.ts')).unmount,
  'zfs version': async () => (await import('./version.ts')).version,
  'zfs zfs-sim-fill': async () => (await import('./fill.ts')).fill,
  'zpool create': async () => (await import('./zpool.ts')).create,
  'zpool destroy': async () => (await import('./zpool.ts')).destroy,
  'zpool export': async () => (await import('./import.ts')).exportOne,
  'zpool get': async () => (await import('./zpool.ts')).get,
  'zpool import': async () => (await import('./import.ts')).importOne,
  'zpool list': async () => (await import('./zpool.ts')).list,
  'zpool version': async () => (await import('./version.ts')).version,
};

/** Runs one command line, `tool verb argument...`. @returns the exit status */
export async function run([tool = 'zfs', verb = '', ...argv]: readonly string[]): Promise<number> {
  try {
    const load = COMMANDS[`${tool} ${verb === '-V' || verb === '--version' ? 'version' : verb}`];
    if (load === undefined) {
      const what = verb === '' ? 'missing command' : `unrecognized command '${verb}'`;
      throw new Refusal(`${what}\nusage: ${tool} command args ...`, 2);
    }
    const command = await load();
    const { plannedFailure } = await import('./throttle.ts');
    const failure = plannedFailure(verb);
    // send and receive inject the failure themselves, in the middle of the stream
    if (failure !== undefined && !['send', 'receive', 'recv'].includes(verb)) throw failure;
    const exit = command(argv);
    return typeof exit === 'number' ? exit : 0;
  } catch (error) {
    const refusal = await refusalOf(error, verb, argv);
    complain(`${refusal.message}\n`);
    return refusal.exit;
  }
}

/** @throws any error that is not a Refusal */
async function refusalOf(error: unknown, verb: string, argv: readonly string[]): Promise<Refusal> {
  if (error instanceof Refusal) return error;
  const { ReadOnlyPool } = await import('./state.ts');
  if (!(error instanceof ReadOnlyPool)) throw error;
  return (await import('./read-only.ts')).readOnlyRefusal(verb, argv);
}
