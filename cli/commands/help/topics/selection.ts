export const selection = `\
What is sent

  DATASET                every snapshot that the target lacks
  DATASET@SNAPSHOT       the same, up to this snapshot
  --full DATASET@S       one full stream of this snapshot
  -i @A DATASET@B        one increment from @A; a #bookmark is a base too
  -R DATASET             a package: the dataset with all descendants
  -r DATASET@SNAPSHOT    a package, and only the named snapshot of each dataset
  -Rc, -rc               the same; a clone without its origin is sent in full

Without a named snapshot, -r is refused: syncoid -r is -R here.
--exclude PATTERN skips datasets of a package, with their descendants. It
matches the whole name (pool/vm/*/tmp), or the part below the sent dataset
(*/tmp).
--snapshots PATTERN sends only matching intermediate snapshots. The last one and
the origins of clones are always sent.
--skip-missing skips datasets of a package that lack the named snapshot.

In patterns, * and ? stay within one element of a name, and ** matches any
number of elements. Quote patterns, so that the shell leaves them alone.

Names on the target:
  HOST:DATASET           the dataset gets this name
  -d HOST:DATASET        below it: the source's name without its pool
  -e HOST:DATASET        below it: the last element of the source's name

Examples:
  zpsend send -R --exclude '*/tmp' --snapshots 'daily-*' zones/vm smos-00
  zpsend send -R -d zones/vm smos-00:backup
`;
