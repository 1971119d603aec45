import type { Self } from '../../lib/bus/connection/connect.ts';
import { ownMachine } from '../../lib/machine/machine.ts';
import { loadSettings, type Settings } from '../../lib/settings/settings.ts';

/**
 * This host's name on the bus, as its services have it.
 * @throws ZpsendError BAD_REQUEST when it is not one subject token, or the configuration is not valid
 */
export const thisHost = (env: NodeJS.ProcessEnv): string => loadSettings(env).host;

/** What requests to this host's own services name, so that another machine of its name refuses them. */
export const selfOf = ({ host, machineId }: Settings): Self => ({ host, machine: ownMachine(machineId).machine });
