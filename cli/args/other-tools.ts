const plan = 'zpsend plan shows what would be sent';
const conflict = 'zpsend never forces a receive; --conflict chooses what it may do to a diverged target';
const bus = 'zpsend uses NATS, not ssh (zpsend doctor)';
const rate = '--bwlimit limits a job, and receive.bwlimit limits a receiver';
const log = 'a terminal shows the progress, and ZPSEND_LOG=people the log of the sender';
const snapshots = '--snapshots chooses among the intermediate snapshots';

/** Options of zfs send, zfs receive, syncoid and zrepl, with what zpsend has instead. */
const hints: Record<string, string> = {
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
  '--debug': 'set ZPSEND_LOG_LEVEL=debug and ZPSEND_LOG=people',
  '--force': conflict,
  '--force-delete': conflict,
  '--source-bwlimit': rate,
  '--target-bwlimit': rate,
  '--no-stream': 'zpsend send -r DATASET@SNAPSHOT sends only that snapshot; --snapshots chooses some intermediate ones',
  '--no-sync-snap': 'zpsend creates no snapshots',
  '--create-bookmark': 'zpsend keeps bookmarks by default (send.bookmarks)',
  '--use-hold': 'zpsend keeps holds by default',
  '--no-resume': 'zpsend discards an interrupted receive that cannot be resumed',
  '--exclude-datasets': 'use --exclude',
  '--exclude-snaps': snapshots,
  '--include-snaps': snapshots,
  '--preserve-properties': 'use -p',
  '--no-clone-handling': '-c sends a clone in full',
  '--delete-target-snapshots': 'zpsend destroys no snapshots; run sanoid or zfs-prune-snapshots on the target',
  '--identifier': 'zpsend creates no snapshots',
  '--sendoptions': 'zpsend chooses stream flags; --large-block, --embed, --compressed, --raw and -p override it',
  '--recvoptions': 'use -o, -x and --include-property',
  '--no-privilege-elevation': 'zpsend does not use sudo; docs/delegation.md has the zfs allow commands',
  '--sshkey': bus,
  '--sshport': bus,
  '--sshoption': bus,
  '--sshcipher': bus,
};

/** A hint for an option that zpsend does not have. @param option as typed, perhaps with `=VALUE` */
export function hintFor(option: string): string | undefined {
  const [name = ''] = option.split('=', 1);
  return Object.hasOwn(hints, name) ? hints[name] : undefined;
}
