import { type Rule, streamRules } from './stream-rules.ts';

/** The first matching rule decides, so more specific rules come first. Wrapped lines are already joined. */
export const rules: readonly Rule[] = [
  {
    code: 'RESUME_STALE',
    pattern: /' used in the initial send no longer exists$|incremental source 0x[0-9a-f]+ no longer exists$/m,
    sample: "cannot resume send: 'tank/a@3' used in the initial send no longer exists",
    advice: 'abort the partial receive on the target (zfs receive -A), then send again',
  },
  {
    code: 'RESUME_STALE',
    pattern: /resume token is corrupt|^cannot resume send: /m,
    sample: 'cannot resume send: resume token is corrupt (incorrect checksum)',
    advice: 'read the resume token on the target again, or abort the partial receive there (zfs receive -A)',
  },
  {
    // OpenZFS prints this for a resumed stream that does not continue at the saved offset, too
    code: 'RESUME_STALE',
    pattern: /^cannot receive resume stream: (?:kernel modules|pool) must be upgraded/m,
    sample: 'cannot receive resume stream: kernel modules must be upgraded to receive this stream.',
    advice: 'the stream does not continue the saved partial state: read the resume token on the target again',
  },
  {
    // OpenZFS prints this for an increment whose target got a local snapshot meanwhile, too
    code: 'DIVERGED',
    pattern: /^cannot receive incremental stream: kernel modules must be upgraded/m,
    sample: 'cannot receive incremental stream: kernel modules must be upgraded to receive this stream.',
    advice:
      'probably a snapshot was made on the target during the receive (check with zfs list -t snapshot there); otherwise its ZFS is too old for the stream',
  },
  {
    code: 'UNSUPPORTED',
    pattern:
      /must be upgraded to receive this stream\.$|has unsupported feature, |unsupported version [0-9]+$|not supported$/m,
    sample: 'cannot receive incremental stream: pool must be upgraded to receive this stream.',
    advice:
      'this pool or release of ZFS lacks a feature: upgrade it, or send without the features that zpsend plan lists',
  },
  {
    code: 'UNSUPPORTED',
    pattern: /: bookmark feature not enabled$/m,
    sample: "cannot create bookmark 'old/a#zpsend_x': bookmark feature not enabled",
    advice: 'upgrade the pool (zpool upgrade), or set send.bookmarks: false',
  },
  {
    // before the rule for a module that is not loaded: here it is loaded
    code: 'NOT_ALLOWED',
    pattern: /^Permission denied the ZFS utilities|\/dev\/zfs: (?:Permission denied|Operation not permitted)\.?$/m,
    sample: 'Permission denied the ZFS utilities must be run as root.',
    advice: 'run as root, or let this user open /dev/zfs (mode 0666, as in the udev rules of OpenZFS)',
  },
  {
    code: 'UNSUPPORTED',
    pattern: /^\/dev\/zfs and \/proc|ZFS modules? (?:are not|cannot be)|^Unable to open \/dev\/zfs/m,
    sample: '/dev/zfs and /proc/self/mounts are required.',
    advice: 'load the ZFS kernel module on this host (modprobe zfs)',
  },
  {
    code: 'UNSUPPORTED',
    pattern: /^(?:invalid option|unrecognized command|missing argument|bad property list|invalid type) ?/m,
    sample: "invalid option 'p'",
    advice: 'this release of ZFS does not support that option: upgrade it',
  },
  {
    code: 'UNSUPPORTED',
    pattern: /: parent (?:'.*' )?is not a filesystem$/m,
    sample: "cannot create 'tank/vol/a': parent is not a filesystem",
    advice: 'a volume cannot have child datasets: choose another target',
  },
  {
    code: 'NOT_ALLOWED',
    pattern: /permission denied$/im,
    sample: "warning: cannot send 'tank/a@1': permission denied",
    advice: 'run as root, or grant the missing permission with zfs allow',
  },
  {
    code: 'READ_ONLY',
    pattern: /: pool is read-only$/m,
    sample: 'cannot hold: pool is read-only',
    advice:
      'the pool is imported read-only (zpool get readonly): its snapshots can be sent, but nothing in it can be changed',
  },
  {
    code: 'BUSY',
    pattern: /: pool I\/O is currently suspended$/m,
    sample: "cannot open 'tank/a': pool I/O is currently suspended",
    advice: 'the pool lost its devices: connect them (zpool status lists them), then run zpool clear',
  },
  {
    code: 'INTERNAL',
    pattern: /: Input\/output error$/m,
    sample: "warning: cannot send 'tank/a@1': Input/output error",
    advice: 'zpool status -v lists the damaged files; other snapshots and datasets may be intact',
  },
  {
    // a new filesystem with an incremental source is a clone onto a wrong origin
    code: 'ORIGIN_MISSING',
    pattern:
      /^cannot receive new filesystem stream: most recent snapshot of |(?:local origin for clone |specified origin fs \().* does not exist$/m,
    sample: 'cannot receive: local origin for clone small/clone@c does not exist',
    advice: 'send the origin first, or send the clone as a full stream',
  },
  {
    code: 'DIVERGED',
    pattern: /most recent snapshot of .* does not match incremental source$/m,
    sample: 'cannot receive incremental stream: most recent snapshot of dozer/a does not match incremental source',
    advice: 'compare the snapshots of both sides by guid: the base must be the newest snapshot of the target',
  },
  {
    code: 'DIVERGED',
    pattern: /more recent snapshots or bookmarks exist$|clones of previous snapshots exist$/m,
    sample: "cannot rollback to 'tank/c@1': more recent snapshots or bookmarks exist",
    advice: 'something newer was created there meanwhile: check it, then plan again',
  },
  {
    code: 'DIVERGED',
    pattern: /snapshot has dependent clones$|' to see holders\.$/m,
    sample: "cannot destroy 'tank/c@2': snapshot has dependent clones",
    advice:
      'a clone or a hold needs that snapshot, so nothing was destroyed: remove it there, or use --conflict rotate',
  },
  {
    code: 'MODIFIED',
    pattern: /has been modified since most recent snapshot$/m,
    sample: 'cannot receive incremental stream: destination dozer/a has been modified since most recent snapshot',
    advice:
      'check the changes there (zfs diff), keep them (--conflict rotate) or discard them (--conflict rollback), and set readonly=on',
  },
  {
    code: 'BUSY',
    pattern: /contains partially-complete state from "zfs receive -s"/,
    sample: 'destination dozer/part contains partially-complete state from "zfs receive -s".',
    advice: 'a receive is running or was interrupted: resume it, or abort it with zfs receive -A',
  },
  {
    code: 'BUSY',
    pattern: /^cannot unmount '.*': (?:pool or dataset is busy|unmount failed|umount failed)$/m,
    sample: "cannot unmount '/tank/a': pool or dataset is busy",
    advice: 'it is mounted and in use there: end the processes that fuser -vm lists',
  },
  {
    code: 'BUSY',
    pattern: /(?:dataset|target|pool|destination) is busy(?:$|; )|Device or resource busy$/m,
    sample: "cannot destroy 'dozer/busy': dataset is busy",
    advice: 'a send, a receive, a hold or an open device uses it: wait, then try again',
  },
  {
    code: 'BASE_MISSING',
    pattern: /incremental source \(?.*\)? does not exist$|: No such process$|: no such base/m,
    sample: "warning: cannot send 'tank/a@2': incremental source (tank/a#none) does not exist",
    advice: 'list the snapshots again, then plan again',
  },
  {
    code: 'BASE_MISSING',
    pattern: /not an earlier snapshot from the same fs$|incremental source must be in same filesystem/m,
    sample: "warning: cannot send 'tank/a@1': not an earlier snapshot from the same fs",
    advice: 'the base must be an earlier snapshot or bookmark of the same dataset, or its origin',
  },
  {
    code: 'BAD_REQUEST',
    pattern: /cannot specify snapshot name for multi-snapshot stream$/m,
    sample: 'cannot receive: cannot specify snapshot name for multi-snapshot stream',
    advice: 'a step is one snapshot: send it with zfs send -i, without -R',
  },
  {
    code: 'EXISTS',
    pattern:
      /destination '.*' exists$|destination already exists$|destination has snapshots \(|dataset already exists$/m,
    sample: "cannot receive new filesystem stream: destination 'dozer/a' exists",
    advice: 'choose another target dataset, or rename this one (zfs rename)',
  },
  {
    code: 'NO_SPACE',
    pattern: /: out of space$|quota exceeded\.?$|No space left on device$|Disk quota exceeded$/m,
    sample: 'cannot receive new filesystem stream: out of space',
    advice: 'free space in the pool or raise the quota; a direct send then resumes',
  },
  {
    code: 'KEY_REQUIRED',
    pattern: /key (?:must be loaded|is not loaded or provided|not loaded)$/m,
    sample: "warning: cannot send 'tank/enc@1': dataset key must be loaded",
    advice: 'load the key with zfs load-key',
  },
  {
    code: 'DIVERGED',
    pattern:
      /cannot perform raw receive on top of existing unencrypted dataset$|: IV set guid (?:mismatch|missing)\. See/m,
    sample: 'cannot receive incremental stream: cannot perform raw receive on top of existing unencrypted dataset',
    advice:
      'raw and plain streams cannot be mixed on one target: send as its first stream was sent (--raw or --no-raw)',
  },
  ...streamRules,
  {
    code: 'STREAM_BROKEN',
    pattern: /invalid stream \((?:bad magic number|malformed nvlist)\)$|invalid backup stream$/m,
    sample: 'cannot receive: invalid stream (bad magic number)',
    advice: 'the received data is not a ZFS stream: check that both hosts run the same release of zpsend',
  },
  {
    code: 'STREAM_BROKEN',
    pattern: /checksum mismatch$|incomplete stream\.?$|failed to read from stream$|invalid stream \(/m,
    sample: 'cannot receive new filesystem stream: checksum mismatch or incomplete stream.',
    advice: 'the stream was cut off or damaged in transit: send again, which resumes from the received part',
  },
  {
    code: 'ABORTED',
    pattern: /: signal received$|Broken pipe$/m,
    sample: "warning: cannot send 'tank/big@1': signal received",
    advice: 'the reader of the stream ended: see its error',
  },
  {
    code: 'BAD_REQUEST',
    pattern: /: encrypted dataset .* may not be sent with properties without the raw flag$/m,
    sample: 'cannot send tank/enc@1: encrypted dataset tank/enc may not be sent with properties without the raw flag',
    advice: 'omit -p, or send it raw',
  },
  {
    code: 'BAD_REQUEST',
    pattern: /invalid property '|property '.*' does not apply|is readonly$|must be a string$|invalid value/m,
    sample: "cannot receive: invalid property 'nonsense'",
    advice: 'correct the properties that the configuration sets or excludes',
  },
  {
    code: 'NO_SUCH_SNAPSHOT',
    pattern: /'[@#]': dataset does not exist$|'#': no such pool or dataset$|^could not find any snapshots/m,
    sample: "cannot open 'tank/a@none': dataset does not exist",
    advice: 'list the snapshots again, then plan again',
  },
  {
    code: 'NO_SUCH_DATASET',
    pattern: /(?:: dataset| parent|destination '.*') does not exist$|: no such pool|no datasets available$/m,
    sample: "cannot open 'tank/none': dataset does not exist",
    advice: 'check its name with zfs list',
  },
  {
    code: 'BAD_REQUEST',
    pattern:
      /in name$|datasets must be within same pool$|name is too long$|: invalid name$|missing dataset name$|is not a snapshot$|is not expected here$|: maximum name nesting depth exceeded$/m,
    sample: "cannot open 'tank/a;b': invalid character ';' in name",
    advice: 'correct the name',
  },
];
