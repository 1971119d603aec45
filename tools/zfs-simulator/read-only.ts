import { Refusal } from './refusal.ts';

/** The message of each command for a pool that is imported read-only. */
export function readOnlyRefusal(verb: string, argv: readonly string[]): Refusal {
  const operands = argv.filter((word, at) => !word.startsWith('-') && argv[at - 1] !== '-o');
  const [first = ''] = operands;
  const last = operands.at(-1) ?? '';
  const no = (what: string, exit = 1): Refusal => new Refusal(`${what}: pool is read-only`, exit);
  switch (verb) {
    case 'hold':
    case 'release':
      return new Refusal(
        operands
          .slice(1)
          .map(() => no(`cannot ${verb}`).message)
          .join('\n'),
      );
    case 'bookmark':
      return no(`cannot create bookmark '${last}'`);
    case 'destroy':
      if (first.includes('#')) return no('cannot destroy bookmark', 30);
      return no(first.includes('@') ? 'cannot destroy snapshots' : `cannot destroy '${first}'`);
    case 'snap':
    case 'snapshot':
      return no('cannot create snapshots ');
    case 'set':
      return no(`cannot set property for '${last}'`, 255);
    case 'inherit':
      return no(`cannot inherit ${first} for '${last}'`);
    case 'rollback':
      return no(`cannot rollback '${first.split('@')[0]}'`);
    case 'create':
    case 'clone':
      return no(`cannot create '${last}'`);
    default:
      return no(`cannot ${verb} '${first}'`);
  }
}
