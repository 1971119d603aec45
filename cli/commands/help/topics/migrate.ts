export const migrate = `\
From other tools

  syncoid -r pool/a root@b:pool/a    zpsend send -R pool/a b:pool/a
  syncoid root@a:pool/x pool/x       zpsend send a:pool/x HERE (a pull)
  syncoid --bwlimit=10m              --bwlimit 10M
  zrepl push job                     send.policies on the source
  zrepl pull job                     the same: every sender pushes
  zrepl signal wakeup JOB            zpsend send
  zrepl status                       zpsend status -w
  zfs-autobackup --strip-path        -d or -e
  znapzend                           a snapshot tool, and send.policies
  zfs send -I @a pool/x@b            zpsend send pool/x@b HOST
  zfs receive -F                     --conflict rollback, if allowed there

Each target runs zpsend receiver. A source runs zpsend sender for policies, and
for orders of other hosts; zpsend send works without it. No host needs ssh, or
root on another one: receive.allow of a target lists who may write where.

zpsend makes no snapshots, and destroys none. Keep sanoid, zfs-auto-snapshot or
cron for that, on both sides.

An existing replica continues: common snapshots are found by guid, and by
bookmarks. Names may differ. To change over:
  1. zpsend doctor             on both hosts
  2. zpsend plan SOURCE HOST   should show increments, and no full stream
  3. stop the old tool, and then zpsend send SOURCE HOST
zpsend leaves the holds and bookmarks of the old tool to that tool.

docs/moving-from has a page for each tool.
`;
