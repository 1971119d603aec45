/** One code. */
export interface CodeEntry {
  /** Whether asking again later can help. */
  readonly kind: 'permanent' | 'retryable';
  readonly means: string;
  /** What `details.reason` may be, and what each of them means. */
  readonly reasons?: Readonly<Record<string, string>>;
}

const lost = 'a stored stream or its base is gone or damaged; the source sends it again';
const connectionLost = 'this process lost its own connection to NATS; the other host may be well';
const refusedThere = 'the target rejected a stored stream of this dataset';

/**
 * Every code that may cross the wire, with the reasons that the code reads. The list of codes is closed: adapters map into it. Reasons are open:
 * a reason that this release does not know is treated as none. `npm run reference` makes `docs/reference/errors.md` from this table.
 */
export const codes = {
  BAD_REQUEST: {
    kind: 'permanent',
    means: 'The request, an option or the configuration is invalid.',
    reasons: {
      'not-json': 'the body of the request is not JSON',
      'not-yaml': 'the configuration file is not YAML',
    },
  },
  NOT_ALLOWED: {
    kind: 'permanent',
    means: 'ZFS, the NATS server, or the configuration of a host does not permit it.',
    reasons: {
      'login-refused': 'the NATS server does not accept this user or key',
      'subscription-denied': 'the NATS server denies a service the subjects of its host',
      'not-sent': 'this dataset was never sent to the asking host, and no rule sends it there',
      'raw-required': 'the asking host may have only raw streams of this dataset, and so only a raw digest',
      'not-encrypted': 'the asking host may have only raw streams of this dataset, and it is not encrypted',
    },
  },
  NO_SUCH_DATASET: {
    kind: 'permanent',
    means: 'The dataset does not exist on that host.',
    reasons: {
      'parent-not-planned': 'the parent of the new dataset does not exist, and the plan does not create it',
      lost,
    },
  },
  NO_SUCH_SNAPSHOT: { kind: 'permanent', means: 'The snapshot does not exist on that host.' },
  NO_SUCH_JOB: { kind: 'permanent', means: 'No sender of the host knows the job.' },
  NO_SUCH_TRANSFER: { kind: 'permanent', means: 'The receiver does not know the transfer.' },
  BASE_MISSING: {
    kind: 'permanent',
    means: 'The target lacks the snapshot that an incremental stream starts from.',
    reasons: { lost },
  },
  ORIGIN_MISSING: { kind: 'permanent', means: 'The target lacks the origin of a clone.', reasons: { lost } },
  EXISTS: {
    kind: 'permanent',
    means: 'A dataset or snapshot of that name exists already.',
    reasons: {
      'has-snapshot': 'the target already has this very snapshot',
    },
  },
  DIVERGED: {
    kind: 'permanent',
    means: 'Source and target have no common base, or the target has snapshots that the source lacks.',
    reasons: {
      'rollback-unfinished': 'the end of an earlier rollback of the target is unknown; the job plans again',
      lost,
    },
  },
  MODIFIED: { kind: 'permanent', means: 'The target was written to since its last snapshot.' },
  OTHER_MACHINE: { kind: 'permanent', means: 'Two machines have one host name, and the wrong one answers.' },
  LOCKED: { kind: 'retryable', means: 'Another transfer into the same dataset holds its lock.' },
  BUSY: {
    kind: 'retryable',
    means: 'The dataset, the service or the store is in use.',
    reasons: {
      queued: 'the receiver has reached maxConcurrent, or another stream waits for the full store; this is no failure',
    },
  },
  NO_SPACE: {
    kind: 'permanent',
    means: 'A pool, a quota or a bucket is full.',
    reasons: {
      'store-full': 'the store is full until a target fetches a stream',
      'too-large': 'the stream is larger than the whole store',
    },
  },
  TOO_MUCH: { kind: 'permanent', means: 'A peer sends, or keeps in a bucket, more than the limit.' },
  READ_ONLY: { kind: 'permanent', means: 'The pool is imported read-only.' },
  STREAM_BROKEN: {
    kind: 'retryable',
    means: 'A stream ended early, was damaged, or broke the rules of its channel.',
    reasons: {
      silent: 'the sender reported nothing for too long',
      gap: 'a frame is missing, or came twice',
      'beyond-credit': 'the sender sent more than it was granted',
      'after-end': 'a frame came after the end of the stream',
      'total-mismatch': 'the end of the stream names another number of bytes',
      malformed: 'a frame has an invalid format',
      unreadable: 'the reason why the sender stopped is unreadable',
      overwritten: 'an object of the store was overwritten',
      damaged: 'an object of the store has another digest than its metadata',
      missing: 'parts of an object are missing in the store',
      lost,
    },
  },
  RESUME_STALE: { kind: 'retryable', means: 'The partial state on the target cannot be continued.' },
  KEY_REQUIRED: { kind: 'permanent', means: 'An encryption key is not loaded.' },
  KEY_MISMATCH: {
    kind: 'permanent',
    means: 'A stream would bring another encryption key than the target has.',
    reasons: {
      'key-changed': 'the key of the target was changed since the stream was planned',
    },
  },
  UNSUPPORTED: {
    kind: 'permanent',
    means: 'ZFS, the pool, the NATS server, or the other release of zpsend cannot do this.',
    reasons: {
      protocol: 'the other side speaks another version of the protocol of zpsend',
      'payload-limit': 'the NATS server takes smaller messages than zpsend needs, until its max_payload is raised',
      'keys-unknown': 'nothing is stored, since the keys of the target are unknown',
      'blocks-unknown': 'nothing is stored, since it is unknown whether the target has large blocks',
      'new-key': 'nothing is stored, since a change-key at the source could lock datasets of the target',
    },
  },
  UNREACHABLE: {
    kind: 'retryable',
    means: 'No service, no NATS server, or no bucket answers.',
    reasons: {
      'connection-lost': connectionLost,
      'no-responders': 'no service subscribes to the subject',
      'no-server': 'no NATS server answers at the address',
      tls: 'TLS with the NATS server fails; `details.tls` has the cause',
      'no-bucket': 'the bucket does not exist',
      'bucket-denied': 'the bucket does not exist, and this user may not create it',
    },
  },
  TIMEOUT: {
    kind: 'retryable',
    means: 'An answer, or its end, did not arrive in time.',
    reasons: {
      'connection-lost': connectionLost,
      silent: 'the receiver reported nothing for too long',
    },
  },
  ABORTED: {
    kind: 'permanent',
    means: 'A request aborted it, or its service stopped.',
    reasons: {
      'taken-over': 'another sender continues the job, under the id in `details.successor`',
    },
  },
  INTERNAL: {
    kind: 'permanent',
    means: 'A failure without a more specific code.',
    reasons: {
      unreadable: 'the output of a ZFS command cannot be trusted',
    },
  },
} as const satisfies Record<string, CodeEntry>;

/** Reasons that go with every code. */
export const commonReasons = { 'refused-there': refusedThere } as const;
