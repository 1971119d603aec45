'use strict';

// Any Node on PATH may run this file, so it uses only what Node 10 supports: no `import` statement, no `node:` names.
const fs = require('fs');
const url = require('url');

/** The oldest release that runs the sources (package.json, `engines`). */
const needed = 24;

/** The message for users of an older Node; undefined if this one is new enough. */
function complaintAbout(version, execPath) {
  if (Number(version.split('.')[0]) >= needed) return undefined;
  return (
    `zpsend needs Node >= ${needed}, and this is v${version} (${execPath}). Install Node ${needed} (nodejs.org, or NodeSource for ` +
    'Debian and Ubuntu), and put it first on PATH. In a clone, npm ci installs it: npm run -s zpsend -- ...'
  );
}

/**
 * Runs a module: the compiled one if it exists, otherwise its source.
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
