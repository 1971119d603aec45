import type { Self } from '../../lib/bus/connection/connect.ts';
import { ownMachine } from '../../lib/machine/machine.ts';
import { loadSettings, type Settings } from '../../lib/settings/settings.ts';

/**
 * The name of this host on the bus, as its services use it.
 * @throws ZpsendError BAD_REQUEST if it is not one subject token, or the configuration is not valid
 */
export const thisHost = (env: NodeJS.ProcessEnv): string => loadSettings(env).host;

/** Host and machine, for requests to this host's services: another machine with the same host name refuses them. */
export const selfOf = ({ host, machineId }: Settings): Self => ({ host, machine: ownMachine(machineId).machine });
