export const names = `\
Names of hosts, datasets and snapshots

  HOST                   a host on the bus: letters, digits, "_" and "-"
  DATASET                pool/dataset, on this host
  HOST:DATASET           a dataset of another host
  HOST:DATASET@SNAPSHOT  a snapshot there
  :DATASET               a dataset here whose pool has a colon in its name

A source is [HOST:]DATASET[@SNAPSHOT]. Without a host it is on this host.
Without a snapshot every snapshot is sent, otherwise all up to the named one.
A target is HOST[:DATASET]. Without a dataset it gets the name of the source.
For a target on this host, name this host.

A colon ends a host only before any "/", "@" or "#". So zones/a:b and
zones/a@2026:1 need no host before them.
Datasets have no slash at their beginning or end. They are no paths: zfs list -o
name PATH prints the dataset of a path.

The name of a host is ZPSEND_HOST, host: in the configuration file, or the host
name of the machine with "-" for each dot. One name belongs to one machine.
zpsend hosts lists the hosts and their machines.

Examples:
  zpsend send zones/test smos-00
  zpsend send smos-01:zones/test@now smos-00:backup/test
  zpsend send :my:pool/data smos-00
`;
