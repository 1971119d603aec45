import type { Code } from '../../schemas/errors.ts';

/** The code and the advice for one message of ZFS. */
export interface Rule {
  code: Code;
  pattern: RegExp;
  /** As zfs prints it (libzfs_sendrecv.c, libzfs_dataset.c, libzfs_util.c); captured samples are in test/fixtures/stderr. */
  sample: string;
  advice: string;
}

/** Streams that a target refuses because of their flags. */
export const streamRules: readonly Rule[] = [
  {
    code: 'UNSUPPORTED',
    // ZFS prints this also with -L, if the sent dataset never had a large block (openzfs#18101, #18908)
    pattern:
      /: incremental send stream requires -L \(--large-block\), to match previous receive\.$|: destination contains large blocks, but the\b/m,
    sample:
      'cannot receive incremental stream: incremental send stream requires -L (--large-block), to match previous receive.',
    advice:
      'the target has large blocks, but this stream has none. If the target was received with --large-block, send with it. ' +
      'If the sent dataset is a replica that goes back to its origin, it has no large block yet, and --large-block alone does not help. ' +
      'A full stream under a new name is always safe: --full DATASET@SNAPSHOT HOST:DATASET-2. ' +
      'Only if the replica was received with --large-block or raw, set recordsize=1M on it, write a file of 2 MiB, make a snapshot, ' +
      'and send only that: -i @COMMON --large-block DATASET@NEW',
  },
  {
    code: 'UNSUPPORTED',
    pattern: /: incompatible embedded data stream feature with encrypted receive\.$/m,
    sample: 'cannot receive new filesystem stream: incompatible embedded data stream feature with encrypted receive.',
    advice: 'an encrypted dataset cannot receive embedded data: send without --embed',
  },
];
