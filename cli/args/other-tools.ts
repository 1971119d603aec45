const plan = 'zpsend send -n and zpsend plan show what would be sent';
const conflict = 'zpsend never forces a receive; --conflict chooses what it may do to a diverged target';
const bus = 'zpsend uses NATS, not ssh (zpsend doctor)';
const rate = '--bwlimit limits a job, and receive.bwlimit limits a receiver';
const log = 'a terminal shows the progress, and ZPSEND_LOG=people the log of the sender';
const snapshots = '--snapshots chooses among the intermediate snapshots';
const creates = 'zpsend creates no snapshots; zfs snapshot, sanoid or zfs-auto-snapshot does';
const destroys = 'zpsend destroys no snapshots; run sanoid or zfs-prune-snapshots on the target';
const services = 'zpsend sender and zpsend receiver are the services; each runs until SIGTERM';
const receives = 'zpsend receiver runs the receiver of this host; zpsend send on any host starts a receive';
const send = 'zpsend send SOURCE HOST[:DATASET] replicates; zpsend send --help has examples';
const lists = 'zpsend snapshots lists snapshots, zpsend hosts lists hosts, and zpsend status lists replications';
const marks = 'zpsend doctor lists stale holds and bookmarks; zpsend doctor --fix removes them';
const parents = 'zpsend creates missing parents on the target as unmounted placeholders';
const streams = 'zpsend chooses stream flags; --large-block, --embed, --compressed, --raw and -p override it';
const buffer = 'zpsend buffers by itself';
const policy = 'send.policies of the configuration file replicates each new snapshot (zpsend policies --help)';
const compression = '--compress auto, zstd or none';
const raw = 'encrypted datasets are sent raw by default; --no-raw decrypts them';
const wishes = 'use -o, -x and --include-property';

/** Words of other tools, with what zpsend has instead. A word without a dash is a command. */
const hints: Record<string, string> = {
  // zfs send, zfs receive
  '-I': 'every snapshot up to the named one is sent, each as an -i stream',
  '-L': 'zpsend chooses; --large-block and --no-large-block override it',
  '-D': 'OpenZFS has no deduplicated streams',
  '-F': conflict,
  '-u': 'zpsend never mounts what it receives',
  '-s': 'every receive can be resumed, and the next send resumes it',
  '-t': 'the same command resumes an interrupted send',
  '-n': plan,
  '-v': log,
  '-P': log,
  '--dry-run': plan,
  '--dryrun': plan,
  '--verbose': log,
  receive: receives,
  recv: receives,
  list: lists,
  ls: lists,
  snapshot: creates,
  snap: creates,
  destroy: destroys,
  hold: 'zpsend keeps holds by itself; zpsend doctor lists the stale ones',
  holds: marks,
  release: marks,
  bookmark: 'zpsend keeps bookmarks by itself (send.bookmarks)',
  rollback: 'zpsend send --conflict rollback, if the receiver allows it',
  diff: 'zpsend verify compares a dataset with its replica',
  allow:
    'receive.allow of the configuration file lists who may write where; docs/guides/run-without-root.md has the zfs allow commands',
  // syncoid, sanoid
  '--debug': 'set ZPSEND_LOG_LEVEL=debug and ZPSEND_LOG=people',
  '--force': conflict,
  '--force-delete': conflict,
  '--source-bwlimit': rate,
  '--target-bwlimit': rate,
  '--no-stream': 'zpsend send -r DATASET@SNAPSHOT sends only that snapshot; --snapshots chooses some intermediate ones',
  '--no-sync-snap': creates,
  '--create-bookmark': 'zpsend keeps bookmarks by default (send.bookmarks)',
  '--use-hold': 'zpsend keeps holds by default',
  '--no-resume': 'zpsend discards an interrupted receive that cannot be resumed',
  '--no-rollback': '--conflict refuse is the default',
  '--skip-parent': "--exclude skips datasets, and -d and -e choose the target's names",
  '--exclude-datasets': 'use --exclude',
  '--exclude-snaps': snapshots,
  '--include-snaps': snapshots,
  '--preserve-properties': 'use -p',
  '--preserve-recordsize': 'use --large-block, and -p for the property',
  '--no-clone-handling': '-c sends a clone in full',
  '--delete-target-snapshots': destroys,
  '--identifier': creates,
  '--mbuffer-size': buffer,
  '--pv-options': log,
  '--sendoptions': streams,
  '--recvoptions': wishes,
  '--no-privilege-elevation': 'zpsend does not use sudo; docs/guides/run-without-root.md has the zfs allow commands',
  '--sshkey': bus,
  '--sshport': bus,
  '--sshoption': bus,
  '--sshcipher': bus,
  '--sshconfig': bus,
  sync: send,
  replicate: send,
  prune: destroys,
  // zrepl
  pull: 'a pull is zpsend send HOST:DATASET THIS_HOST: the source names its host, and any host may start it',
  push: 'a push is zpsend send DATASET HOST; zpsend send --help has examples',
  daemon: services,
  test: 'zpsend config check checks the configuration, zpsend send -n shows what would be sent, and zpsend doctor checks this host',
  configcheck: 'use zpsend config check',
  signal: 'zpsend send starts a replication now, and zpsend abort JOB ends a job',
  wakeup: 'zpsend send starts a replication now',
  'zfs-abstraction': marks,
  stdinserver: bus,
  migrate: 'zpsend help migrate compares zpsend with other tools',
  // zfs-autobackup
  '--ssh-source': `${bus}; a source is HOST:DATASET`,
  '--ssh-target': `${bus}; a target is HOST:DATASET`,
  '--ssh-config': bus,
  '--rate': rate,
  '--buffer': buffer,
  '--strip-path': '-d appends the name without its pool, and -e only its last element',
  '--destroy-incompatible': conflict,
  '--destroy-missing': destroys,
  '--keep-source': destroys,
  '--keep-target': destroys,
  '--no-thinning': destroys,
  '--min-change': creates,
  '--allow-empty': creates,
  '--no-snapshot': creates,
  '--snapshot-format': creates,
  '--other-snapshots': 'zpsend sends every snapshot; --snapshots chooses some intermediate ones',
  '--no-holds': 'send.bookmarks and receive.holdNewest of the configuration file choose the marks',
  '--no-send': plan,
  '--decrypt': raw,
  '--encrypt': 'a parent with encryption on the target encrypts what is sent with --no-raw',
  '--zfs-compressed': 'compressed blocks are sent as they are by default (--compressed)',
  '--filter-properties': 'use -x',
  '--set-properties': 'use -o',
  '--clear-mountpoint': 'zpsend never sends mountpoint, and never mounts what it receives',
  '--clear-refreservation': 'use -x refreservation',
  '--rollback': conflict,
  '--ignore-transfer-errors': 'a dataset that fails does not stop the others (exit status 3)',
  '--send-pipe': compression,
  '--recv-pipe': compression,
  '--progress': log,
  '--no-progress': 'use -q',
  // znapzend
  '--runonce': `${send}; ${policy}`,
  '--daemonize': services,
  '--noaction': plan,
  '--nodestroy': destroys,
  '--autoCreation': parents,
  '--create-parents': parents,
  '--mailErrorSummaryTo': 'zpsend status --check prints one line for a monitoring system',
  '--rootExec': 'zpsend does not use sudo; docs/guides/run-without-root.md has the zfs allow commands',
  '--features': `${streams}; ${compression}`,
  '--forcedSnapshotSuffix': creates,
  '--skipIntermediates': 'zpsend send -r DATASET@SNAPSHOT sends only that snapshot',
  '--logto': 'ZPSEND_LOG=json or people chooses the log, which goes to standard error',
  '--loglevel': 'ZPSEND_LOG_LEVEL=debug',
  '--connectTimeout': 'timing.patienceSeconds of the configuration file',
  // backup tools in general
  backup: send,
  copy: send,
  run: send,
  restore: 'a restore is zpsend send BACKUP_HOST:DATASET HOST:DATASET',
  jobs: 'zpsend status --jobs lists the jobs of all hosts',
  start: services,
  stop: 'zpsend abort JOB ends a job; a service ends after SIGTERM',
  resume: 'the same zpsend send command resumes an interrupted send',
};

/** A hint for a command or an option that zpsend does not have. @param word as typed, perhaps with `=VALUE` */
export function hintFor(word: string): string | undefined {
  const [name = ''] = word.split('=', 1);
  return Object.hasOwn(hints, name) ? hints[name] : undefined;
}

/** The same for the word after `zpsend`: also for a dataset, where syncoid has its source. */
export function commandHintFor(word: string): string | undefined {
  if (word.startsWith('-')) return undefined;
  return (
    hintFor(word) ?? (/[/:@]/.test(word) ? `a command comes first: zpsend send ${word} HOST[:DATASET]` : undefined)
  );
}
