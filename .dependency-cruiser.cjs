'use strict';

const { builtinModules } = require('node:module');

const libraries = ['schemas', 'time', 'plan', 'verify', 'zfs', 'bus', 'compression', 'settings', 'machine'];
const commands = ['schemas', 'time', 'plan', 'verify', 'bus', 'settings', 'machine', 'deploy', 'natsServer'];

/**
 * Which part of the project may import which: other parts (`may`), npm packages (`npm`) and Node's modules (`node`; only
 * `processes` includes child_process). What a line does not list is refused. `at` is a pattern; a file is of the first part that it fits.
 */
const parts = {
  entries: {
    at: '(bin/|services/(receiver|sender)/main[.]cjs$)',
    may: [...libraries, 'host', 'receiver', 'sender', 'cli'],
    node: true,
  },
  schemas: { at: 'schemas/', npm: ['zod'] },
  time: { at: 'lib/time/', node: true },
  plan: { at: 'lib/plan/', may: ['schemas'] },
  verify: { at: 'lib/verify/', may: ['schemas'], node: true },
  zfs: { at: 'lib/zfs/', may: ['schemas', 'time'], npm: ['execa', 'zod'], node: 'processes' },
  bus: { at: 'lib/bus/', may: ['schemas', 'time'], npm: ['@nats-io/[^/]+', 'p-limit', 'zod'], node: true },
  compression: { at: 'lib/compression/', may: ['schemas', 'time'], node: true },
  machine: { at: 'lib/machine/', may: ['schemas', 'time'], node: 'processes' },
  settings: { at: 'lib/settings/', may: ['schemas'], npm: ['yaml', 'zod'], node: true },
  deploy: { at: 'lib/deploy/', may: ['schemas', 'bus'], npm: ['execa'], node: 'processes' },
  simulator: { at: 'tools/zfs-simulator/', node: true },
  natsServer: { at: 'tools/nats-server/', npm: ['execa'], node: 'processes' },
  jsonSchemas: { at: 'tools/json-schemas[.]ts$', may: ['schemas'], npm: ['zod'], node: true },
  reference: {
    at: 'tools/reference/',
    may: ['schemas', 'settings', 'cli'],
    npm: ['commander', 'yaml', 'zod'],
    node: true,
  },
  man: { at: 'tools/man/', may: ['settings', 'reference'], node: true },
  oldWords: { at: 'tools/old-words[.]ts$', node: true },
  functionLines: { at: 'tools/function-lines[.]ts$', npm: ['typescript'], node: true },
  host: { at: 'services/host/', may: libraries, npm: ['nanoid', 'pino', 'yaml', 'zod'], node: true },
  receiver: { at: 'services/receiver/', may: [...libraries, 'host'], npm: ['pino', 'yaml', 'zod'], node: true },
  sender: { at: 'services/sender/', may: [...libraries, 'host'], npm: ['p-limit', 'pino', 'yaml', 'zod'], node: true },
  demo: {
    at: 'cli/(commands/demo/|client/private-sender[.]|output/pager[.])',
    may: [...commands, 'cli'],
    npm: ['commander', 'execa', 'pino', 'yaml', 'zod'],
    node: 'processes',
  },
  cli: {
    at: 'cli/',
    may: [...commands, 'compression', 'demo'],
    npm: ['commander', 'pino', 'yaml', 'zod'],
    node: true,
  },
};

/** The folders and files of larger parts, topmost first: none imports what stands above it. */
const floors = {
  'cli/': 'main commands/ client/ context output/ args/ exit-codes',
  'services/sender/':
    'service api takeover/ policies/ job/ replication/ delivery/ store/ reporting/ bases/ planning/ transfer/',
  'services/receiver/': 'service store/ api receive/ conflicts/ bases/ admission/',
  'lib/plan/':
    'sent-before predict-target plan steps/ placement/ conflict/ match/ request/ own-replicas inventory/ dataset-plan refusal ' +
    'cursor-name',
  'lib/bus/':
    'status/ setup/ policies/ locks/ hosts/ events/ channel/store/ jetstream/ channel/direct/ channel/ data-connection/ rpc/ ' +
    'connection/ permissions subjects bounds',
};

const core = builtinModules.filter((name) => !name.startsWith('_'));
const files = (names) => names.map((name) => `^${parts[name].at}`);

function ruleOf(name) {
  const { may = [], npm = [], node } = parts[name];
  const modules = node === 'processes' ? core : core.filter((module) => module !== 'child_process');
  const allowed = [
    ...files([name, ...may]),
    ...npm.map((each) => `(^|/)node_modules/${each}/`),
    ...(node ? [`^(node:)?(${modules.join('|')})$`] : []),
  ];
  const earlier = Object.keys(parts).slice(0, Object.keys(parts).indexOf(name));
  return { name, severity: 'error', from: { path: files([name]), pathNot: files(earlier) }, to: { pathNot: allowed } };
}

/** No floor imports one above it, and each file of these folders is on one. */
function floorRules([folder, listed]) {
  const names = listed.split(' ');
  const patterns = names.map((name) => {
    const inner = names.filter((other) => other !== name && other.startsWith(name));
    const narrower = inner.map((other) => `(?!${other.slice(name.length)})`).join('');
    return `^${folder}${name.endsWith('/') ? `${name}${narrower}` : `${name}[.]ts$`}`;
  });
  const upwards = patterns.map((path, index) => ({ from: { path }, to: { path: patterns.slice(0, index) } })).slice(1);
  const unlisted = { from: { path: `^${folder}.*[.]ts$`, pathNot: patterns }, to: {} };
  return [...upwards, unlisted].map((rule) => ({ name: `floors of ${folder}`, severity: 'error', ...rule }));
}

module.exports = {
  forbidden: [
    ...Object.keys(parts).map(ruleOf),
    { name: 'no-circle', severity: 'error', from: {}, to: { circular: true } },
    ...Object.entries(floors).flatMap(floorRules),
    { name: 'resolved', severity: 'error', from: {}, to: { couldNotResolve: true } },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    // what only types need counts as well
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'require', 'node', 'default'] },
  },
};
