import { isDeepStrictEqual } from 'node:util';
import type { Settings } from '../../lib/settings/settings.ts';

/** The settings in force. They change while a service runs, so they are read where new work begins. */
export interface CurrentSettings {
  readonly now: Settings;
  /** @param listener called after each change, with the settings before it. @returns unsubscribes */
  onChange(listener: (before: Settings) => void): () => void;
}

/** Calls back after each change of one setting. @returns unsubscribes */
export const onChangeOf = (settings: CurrentSettings, of: (some: Settings) => unknown, changed: () => void) =>
  settings.onChange((before) => {
    if (!isDeepStrictEqual(of(before), of(settings.now))) changed();
  });

/** @returns the settings, and the only way to replace them */
export function openCurrentSettings(first: Settings): {
  readonly settings: CurrentSettings;
  replace(next: Settings): void;
} {
  const listeners = new Set<(before: Settings) => void>();
  let now = first;
  return {
    settings: {
      get now() {
        return now;
      },
      onChange(listener) {
        listeners.add(listener);
        return () => void listeners.delete(listener);
      },
    },
    replace(next) {
      const before = now;
      now = next;
      for (const listener of [...listeners]) listener(before);
    },
  };
}
