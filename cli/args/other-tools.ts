const planned = 'zpsend plan shows what would be sent';
const conflicts = 'nothing on a target is forced, and --conflict says what may be done to it';
const bus = 'there is no ssh here: hosts meet on NATS (zpsend doctor)';
const rate = '--bwlimit bounds what a job sends, and receive.bwlimit what a host takes in';
const log = 'progress is shown on a terminal, and ZPSEND_LOG=people shows the log of the sender too';
const picked = '--snapshots chooses among the intermediate snapshots';

/** What those expect who come from zfs send, zfs receive, syncoid or zrepl, by the option that they try. */
const habits: Record<string, string> = {
  '-I': 'every snapshot up to the one named is sent anyway, each as an -i stream',
  '-L': 'large blocks are sent as such where that is right; --large-block or --no-large-block decides',
  '-D': 'there are no deduplicated streams any more',
  '-F': conflicts,
  '-u': 'nothing that is received is mounted by zpsend',
  '-s': 'every receive can be resumed, and the next send resumes it',
  '-t': 'the same command resumes what was interrupted',
  '-n': planned,
  '-v': log,
  '-P': log,
  '--dry-run': planned,
  '--dryrun': planned,
  '--verbose': log,
  '--debug': 'ZPSEND_LOG_LEVEL=debug with ZPSEND_LOG=people shows more',
  '--force': conflicts,
  '--force-delete': conflicts,
  '--source-bwlimit': rate,
  '--target-bwlimit': rate,
  '--no-stream': 'only the newest: zpsend send -r DATASET@SNAPSHOT; of the intermediate ones some: --snapshots',
  '--no-sync-snap': 'zpsend takes no snapshots, so there is nothing to leave out',
  '--create-bookmark': 'bookmarks are kept by themselves (send.bookmarks)',
  '--use-hold': 'holds are kept by themselves',
  '--no-resume': 'an interrupted receive that cannot be continued is dropped by itself',
  '--exclude-datasets': '--exclude leaves out datasets',
  '--exclude-snaps': picked,
  '--include-snaps': picked,
  '--preserve-properties': '-p sends properties too',
  '--no-clone-handling': '-c sends a clone whole',
  '--delete-target-snapshots': 'zpsend destroys no snapshots; let sanoid or zfs-prune-snapshots do it on the target',
  '--identifier': 'zpsend takes no snapshots, so none of them needs an identifier',
  '--sendoptions': 'flags of the streams are chosen; --large-block, --embed, --compressed, --raw and -p decide',
  '--recvoptions': '-o, -x and --include-property decide properties of what arrives',
  '--no-privilege-elevation': 'zpsend runs no sudo: docs/delegation.md has the zfs allow',
  '--sshkey': bus,
  '--sshport': bus,
  '--sshoption': bus,
  '--sshcipher': bus,
};

/** A hint about an option that zpsend does not have. @param option as it was written, perhaps with `=VALUE` */
export function habitOf(option: string): string | undefined {
  const [name = ''] = option.split('=', 1);
  return Object.hasOwn(habits, name) ? habits[name] : undefined;
}
