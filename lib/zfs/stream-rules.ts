import type { Code } from '../../schemas/errors.ts';

/** What one kind of complaint means. */
export interface Rule {
  code: Code;
  pattern: RegExp;
  /** What zfs prints: libzfs_sendrecv.c, libzfs_dataset.c and libzfs_util.c; captured samples are in test/fixtures/stderr. */
  sample: string;
  advice: string;
}

/** What a target cannot take of a stream because of how that was made. */
export const streamRules: readonly Rule[] = [
  {
    code: 'UNSUPPORTED',
    // zfs says so too where -L was given, and the dataset that is sent has never had a large block (openzfs#18101, #18908)
    pattern:
      /: incremental send stream requires -L \(--large-block\), to match previous receive\.$|: destination contains large blocks, but the\b/m,
    sample:
      'cannot receive incremental stream: incremental send stream requires -L (--large-block), to match previous receive.',
    advice:
      'the target has large blocks, and this stream carries none. If the target was received with --large-block, send with it. ' +
      'If it is the origin of what is sent, its replica has no large block yet, and --large-block alone does not help. ' +
      'Safe in any case is a full stream under a new name: --full DATASET@SNAPSHOT HOST:DATASET-2. ' +
      'Only if the replica was received with --large-block or raw, set recordsize=1M on it, write a file of 2 MiB, make a snapshot, ' +
      'and send just that: -i @COMMON --large-block DATASET@NEW',
  },
  {
    code: 'UNSUPPORTED',
    pattern: /: incompatible embedded data stream feature with encrypted receive\.$/m,
    sample: 'cannot receive new filesystem stream: incompatible embedded data stream feature with encrypted receive.',
    advice: 'what is encrypted takes no embedded data: send without --embed',
  },
];
