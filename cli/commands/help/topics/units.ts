export const units = `\
Units of sizes, rates and times

The same forms are valid on the command line, in environment variables, in the
configuration file, in policies and in the fleet file.

Sizes, in powers of 1024 as in zfs(8):
  500K, 1.5M, 16G, 1T, 1P; also 16GB and 16GiB
  A number without a unit is in bytes.

Rates, per second:
  500K, 10M, 1G, 10MiB/s   bytes, in powers of 1024
  100Mbit, 1Gbit           bits, in powers of 1000
  The least rate is 1K. A number without a unit is in bytes. 10Mb is refused,
  since it could mean bits.

Times:
  90s, 2m, 1h30m, 7d
  A number without a unit has the unit of its key: timing.lockSeconds is in
  seconds, send.reconcileMinutes in minutes, send.store.maxAgeHours in hours.
  zpsend status --stale needs a unit.

Switches are on or off, yes or no, true or false.

Examples:
  zpsend send --bwlimit 100Mbit zones/test smos-00
  zpsend status --stale 26h
  ZPSEND_PATIENCE_SECONDS=2m zpsend sender
`;
