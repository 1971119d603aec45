export const conflicts = `\
Diverged targets

A target has diverged if it has snapshots that the source lacks, or if it was
written to. zpsend never forces a receive. --conflict chooses what it may do:
  refuse    change nothing, and list the snapshots of both sides (default)
  rollback  roll back to the newest common snapshot; the newer snapshots that
            the plan lists are destroyed
  rotate    rename the target to NAME_diverged_TXG, and start again as a clone
            of the common snapshot; nothing is lost

The receiver must allow it too, in its configuration file:
  receive:
    allow:
      - { from: smos-01, into: zones/backup, conflicts: [rollback, rotate] }

zpsend plan shows what would be destroyed or renamed. A job destroys nothing
that its first plan does not list. An order of another host may not name
rollback or rotate.

A replica stays equal if nothing writes to it. Received datasets are readonly,
unless receive.properties of the configuration sets that. They are not mounted.

Examples:
  zpsend plan --conflict rollback zones/test smos-00
  zpsend send --conflict rotate zones/test smos-00
`;
