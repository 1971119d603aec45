import type { NatsConfig } from '../../../schemas/nats.ts';
import { readContext, selectedContext } from './nats-context.ts';
import {
  contextVariable,
  type Layer,
  type Merged,
  mergeLayers,
  saysNats,
  settingsFromConfig,
  settingsFromVariables,
} from './nats-settings.ts';

/** The sources of a program's NATS settings. */
export interface NatsPlaces {
  readonly env: NodeJS.ProcessEnv;
  /** The file that replaces the environment, if there is one (/etc/zpsend/env). */
  readonly envFile?: string | undefined;
  /** `nats:` of the configuration file. */
  readonly config?: { readonly section: NatsConfig; readonly path: string } | undefined;
}

export interface FoundNats extends Merged {
  /** The name of the selected context, if another source names the server. */
  readonly unused?: string;
}

const standard = 'nats://127.0.0.1:4222';

/**
 * The server and the identity of the connection. Each part comes from the first source that has it: the environment and the context
 * that it names, or else `nats:` of the configuration file and the context named there. If no source has anything, the context that
 * `nats context select` chose is used. The last source is the standard port of this machine.
 * @throws ZpsendError BAD_REQUEST for an invalid address, or a context that cannot be used
 */
export function findNats({ env, envFile, config }: NatsPlaces): FoundNats {
  const variables = envFile ?? 'the environment';
  const layers: Layer[] = [{ source: variables, settings: settingsFromVariables(env) }];
  const context = (name: string, source: string): void => {
    layers.push({ source: `the NATS context ${name} (${source})`, settings: readContext(name, env) });
  };
  const selected = selectedContext(env);
  let unused: string | undefined;
  const named = env[contextVariable];
  if (named) context(named, `${contextVariable}, ${variables}`);
  else if (config) {
    layers.push({ source: config.path, settings: settingsFromConfig(config.section) });
    if (config.section.context) context(config.section.context, config.path);
  }
  if (selected !== undefined && !named) {
    if (saysNats(env) || config) unused = selected;
    else context(selected, 'selected');
  }
  layers.push({ source: 'default', settings: { url: standard } });
  return { ...mergeLayers(layers), ...(unused !== undefined && { unused }) };
}
