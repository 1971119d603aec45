import { loadSettings } from '../lib/settings/settings.ts';

/**
 * This host's name on the bus, as its services have it.
 * @throws ZpsendError BAD_REQUEST when it is not one subject token, or the configuration is not valid
 */
export const thisHost = (env: NodeJS.ProcessEnv): string => loadSettings(env).host;
