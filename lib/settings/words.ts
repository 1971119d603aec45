import type { Settings } from './settings.ts';

const policiesOf = (count: number): string => (count === 1 ? '1 policy' : `${count} policies`);

/** What the settings of this host allow and set off, in one line: for a log, and for `doctor`. */
export function settingsInWords({ path, config }: Settings): string {
  const { allow, maxConcurrent } = config.receive;
  const rules = allow.map(({ from, into, conflicts }) => {
    const more = conflicts.length > 0 ? ` (${conflicts.join(', ')})` : '';
    return `${from === '*' ? 'any host' : from} into ${into}${more}`;
  });
  const receives =
    rules.length > 0 ? `${rules.join(', ')}; ${maxConcurrent} receives at once` : 'no host may write here';
  const { policies } = config.send;
  return `${path ?? 'no file'}: ${receives}${policies.length > 0 ? `; ${policiesOf(policies.length)}` : ''}`;
}
