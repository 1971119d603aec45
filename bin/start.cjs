'use strict';

// This file is read by any Node that is on PATH, so it uses only what Node 10 knows: no `import` statement, no `node:` names.
const fs = require('fs');
const url = require('url');

/** The oldest release that runs the sources as they are (package.json, `engines`). */
const needed = 24;

/** The message for the user of an older Node; undefined where this one is new enough. */
function complaintAbout(version, execPath) {
  if (Number(version.split('.')[0]) >= needed) return undefined;
  return (
    `zpsend: needs Node >= ${needed}, this is v${version} (${execPath}); install Node ${needed} (nodejs.org, or NodeSource for ` +
    'Debian and Ubuntu) so that it comes first on PATH. In a clone, npm ci brings it: npm run -s zpsend -- ...'
  );
}

/**
 * Runs a module: the compiled one where it lies beside, else its source.
 * @param path its path without an extension
 */
function start(path) {
  const complaint = complaintAbout(process.versions.node, process.execPath);
  if (complaint !== undefined) {
    console.error(complaint);
    process.exit(1);
  }
  const compiled = `${path}.js`;
  return import(url.pathToFileURL(fs.existsSync(compiled) ? compiled : `${path}.ts`).href);
}

module.exports = start;
