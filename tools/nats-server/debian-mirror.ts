/** One apt source file: one-line format (`*.list`) or deb822 (`*.sources`); sources.list(5). */
export type SourceFile = { name: string; text: string };

type Entry = { uri: string; suites: string[] };

/**
 * The Debian archive that this machine already uses, so that no other server is contacted; undefined without one.
 * Pure. The security archive and other vendors' archives do not count: they have no `sid`.
 */
export const debianMirror = (files: readonly SourceFile[]): string | undefined =>
  files
    .flatMap((file) => (file.name.endsWith('.sources') ? deb822(file.text) : oneLine(file.text)))
    .filter((entry) => !entry.suites.some((suite) => /[-/](security|updates\/)/.test(suite)))
    .map((entry) => entry.uri.replace(/\/+$/, ''))
    // a plain archive, a snapshot of it, or Debian's cloud images' list of mirrors
    .find((uri) => /\/debian(\/\d{8}T\d{6}Z)?$/.test(uri) || /^mirror\+file:.*\/debian\.list$/.test(uri));

const oneLine = (text: string): Entry[] =>
  text.split('\n').flatMap((line) => {
    const [, uri, suite] = /^\s*deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(\S+)/.exec(line) ?? [];
    return uri && suite ? [{ uri, suites: [suite] }] : [];
  });

const deb822 = (text: string): Entry[] =>
  text
    .replace(/^#.*\n/gm, '')
    .split(/\n\s*\n/)
    .flatMap((stanza) => {
      // a line that starts with a space continues the previous field
      const lines = stanza.replace(/\n[ \t]+/g, ' ').split('\n');
      const field = (name: string): string[] => {
        const line = lines.find((candidate) => candidate.toLowerCase().startsWith(`${name}:`));
        return (
          line
            ?.slice(name.length + 1)
            .split(/\s+/)
            .filter(Boolean) ?? []
        );
      };
      if (!field('types').includes('deb') || /^(no|false|off|0)$/i.test(field('enabled')[0] ?? 'yes')) return [];
      return field('uris').map((uri) => ({ uri, suites: field('suites') }));
    });
