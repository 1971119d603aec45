import { conflicts } from './topics/conflicts.ts';
import { environment } from './topics/environment.ts';
import { exitStatus } from './topics/exit-status.ts';
import { migrate } from './topics/migrate.ts';
import { names } from './topics/names.ts';
import { nats } from './topics/nats.ts';
import { selection } from './topics/selection.ts';
import { units } from './topics/units.ts';

/** The texts of `zpsend help TOPIC`. */
export const topics: Readonly<Record<string, string>> = {
  names,
  nats,
  units,
  'exit-status': exitStatus,
  conflicts,
  selection,
  environment,
  migrate,
};
