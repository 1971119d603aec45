type Durations<T> = { readonly [Area in keyof T]: { readonly [Name in keyof T[Area]]: number } };

const durations = <T extends Record<string, Record<string, number>>>(all: T): Durations<T> => all;

/**
 * How long things take at most, and how often they happen, in ms. What an administrator may set is in `timing` of the configuration.
 * A function that a test has to speed up takes its section, or one value, as an option.
 */
export const timing = durations({
  connection: {
    /** Between two attempts of a service to connect. */
    attemptMs: 750,
    /** The reason why it cannot connect is logged again after this. */
    reminderMs: 60_000,
    /** A server has this long to state why it refuses a connection. */
    probeMs: 2000,
    /** A service that the server refuses for this long ends, so that systemd starts it with fresh credentials. */
    givesUpMs: 60_000,
    /** Two refusals further apart than this had an outage between them, and do not count together. */
    refusalGapMs: 30_000,
    /** A refused subscription is tried again this often: each try is a line in the server's log. */
    deniedEndpointMs: 60_000,
  },
  request: {
    /** The longest silence of a host that lists. */
    listingMs: 60_000,
    /** A request without any answer is repeated after this. */
    repeatMs: 10_000,
    /** Instances of one service have this long to answer each other. */
    siblingsMs: 300,
  },
  /** The direct channel. */
  direct: {
    /** A receiver is unreached when it answers for this long without the subject's probe. */
    unreachedMs: 1500,
    /** It has this long to send anything at all. */
    reachMs: 8000,
    /** An idle sender sends a heartbeat this often: well within any receiver's patience. */
    heartbeatMs: 400,
    /** The first probe is repeated after this; the pause doubles every time. */
    firstProbeMs: 20,
    /** How often a broadcast looks for the subscriber that slows the others. */
    slowReceiverMs: 250,
    /** A pool may take no data for this long, however short the configured patience is. */
    leastPatienceMs: 60_000,
    /** A target that misses a shared subject gets streams of its own for this long. */
    unsharedMs: 600_000,
  },
  rateLimit: {
    /** The depth of the token bucket: more would be bursts, less would depend on late timers. */
    depthMs: 100,
    tickMs: 25,
  },
  /** The store channel, at both ends. */
  store: {
    /** JetStream has this long to answer, and an object's next chunk to arrive. */
    answerMs: 10_000,
    retryMs: 500,
  },
  locks: {
    /** Between two attempts to release a lock while NATS is unreachable. */
    releaseRetryMs: 250,
    /** One renewal waits this long for its answer; the next one may get it. */
    renewalMs: 2000,
    /** One read or write waits this long for its answer. */
    answerMs: 4000,
    /** A lease is renewed at least this often, so that each renewal finds a bucket that was shortened, lost or made anew. */
    renewsWithinMs: 1500,
    /** A holder acts for this long after its last renewal was sent; then it waits for the next one. */
    actsWithinMs: 3000,
  },
  events: {
    /** The stream keeps an event this long for a host that is offline; later only a listing finds what is missing. */
    keptMs: 7 * 24 * 3600 * 1000,
    /** How often a bucket is asked whether it was written to. */
    bucketMs: 15_000,
  },
  machine: {
    /** One message to systemd. */
    notifyMs: 5000,
    /** The command that reads this machine's id. */
    commandMs: 5000,
    /** How often systemd gets a status where it sets no watchdog. */
    supervisorMs: 20_000,
  },
  zfs: {
    /** A command that changes no data. On a pool that answers, even a full listing is faster. */
    runMs: 300_000,
    /** `auto` compression waits this long for its sample: a slower stream gains nothing from less compression. */
    sampleMs: 1000,
  },
  service: {
    /** A stop that takes longer is forced. */
    stopMs: 30_000,
    /** Requests to read the configuration again that come in this time are one. */
    reloadMs: 50,
    /** Other machines of the same name have this long to answer before this service starts. */
    sameNameBeforeMs: 300,
    /** And this long after it has started. */
    sameNameAfterMs: 2000,
    /** How often the record of the host's name is read without a reason. */
    hostRecordMs: 60_000,
    /** The result of a digest stays readable for this long. */
    digestKeptMs: 600_000,
  },
  /** A sender's jobs. */
  job: {
    progressMs: 500,
    /** After the first failure of a step or a listing; doubles with each one, */
    firstRetryMs: 250,
    /** up to this. */
    longestRetryMs: 3000,
    /** The jobs of a fan-out wait at least this long for a late one, however fast the last step was. */
    leastGatherMs: 250,
    /** How often the status of running datasets is updated. */
    statusMs: 2000,
    /** Before holds of a job that no sender runs are released, senders have this long to claim it: one that lists answers late. */
    claimMs: 3000,
    /** The jobs of a fan-out wait this long for one that is late with a common step. */
    gatherMs: 5000,
    /** A fan-out waits this long for a receiver: one request and its repetition. */
    participantMs: 10_000,
    /** A target has this long to report which services it runs. */
    servicesMs: 5000,
    /** A stream that is read for a plan has this long to begin. */
    streamCheckMs: 30_000,
    /** A plan's size estimates are reported in parts, this often. */
    estimatesMs: 1000,
    /** A running chain moves its cursor at most this often, since each move costs processes. */
    cursorMs: 30_000,
  },
  takeover: {
    /** A job without progress for this long has its sender asked. */
    silenceMs: 5000,
    /** Instances check within this span at random times, so that one takes over and the others see it. */
    spreadMs: 2000,
    checkMs: 500,
  },
  policies: {
    /** Malformed snapshot events are logged at most this often. */
    malformedMs: 60_000,
    /** A run starts this long after the last trigger, */
    quietMs: 30,
    /** and at the latest this long after the first one. */
    mostQuietMs: 1000,
    /** A job of another sender without an event for this long counts as dead. */
    silenceMs: 3000,
    /** The first run of a policy after a start waits this long for events of jobs that already run. */
    firstRunMs: 1000,
    /** The first runs start this far from each other, since each lists both sides. */
    betweenFirstRunsMs: 50,
    /** After a failure that may pass; doubles with each one, */
    firstRetryMs: 1000,
    /** up to this. */
    longestRetryMs: 300_000,
    /** Events of a job of our own may arrive this long after its end. */
    lastEventsMs: 10_000,
    /** After a reconnect instances check their policies within this span, at random times. */
    reconnectSpreadMs: 1000,
    /** The bucket of policies is read this long after a write, */
    afterWriteMs: 100,
    /** and again after this, for a slow cluster. */
    longAfterWriteMs: 2000,
  },
  status: {
    /** One entry is written at most this often. */
    entryMs: 1000,
    /** After a failed write nothing is written for this long. */
    pauseMs: 10_000,
    /** A service that stops waits this long for its last entries. */
    lastMs: 2000,
    /** Entries without a running sender are listed this long after the start. */
    firstRefreshMs: 2000,
  },
  /** What a sender does with its stored streams. */
  maintenance: {
    everyMs: 2000,
    /** A command that ends waits this long for a last round. */
    lastMs: 10_000,
    /** A stop waits this long for failed jobs to remove their streams. */
    clearMs: 20_000,
    /** Blocked streams are reported at most this often, since targets choose the text, and repeatedly, since jobs overwrite it. */
    blockedMs: 10_000,
    /** A receiver has this long to claim a stored stream. */
    claimMs: 60_000,
    /** How often a receiver is asked whether it is online. */
    onlineMs: 20_000,
    /** And how long it has to answer. */
    onlineAnswerMs: 2000,
  },
  /** What a sender deletes of jobs that died. */
  garbageCollection: {
    /** A sender service takes a job for dead that is missing for this long. */
    missedMs: 60_000,
    /** The sender of a command does so where nothing was stored for this long, */
    idleMs: 600_000,
    /** and the job is missing again after this. */
    askedAgainMs: 1000,
  },
  receive: {
    /** `zfs receive` has this long to notice the end of its input before it is killed. */
    graceMs: 10_000,
    /** A verified snapshot is not listed again for this long. */
    verifiedMs: 60_000,
    /** A dataset without another receive for this long gets its last-received hold. */
    holdQuietMs: 2000,
    /** While receives continue the hold moves at most this often, since each move costs processes. */
    holdMs: 30_000,
    /** An instance trusts what it knows of the holds for this long. */
    holdsKnownMs: 60_000,
  },
  /** A receiver that fetches stored streams. */
  fetch: {
    everyMs: 1000,
    /** After a failure that may pass. */
    failedMs: 5000,
    /** After one that needs a person or a pool: each try may cost a whole stream. */
    blockedMs: 60_000,
    /** After one that needs a change of the server's permissions or bounds. */
    deniedMs: 600_000,
    /** How often a running receipt is renewed. */
    progressMs: 2000,
  },
  cli: {
    /** The services on the bus have this long to answer. */
    servicesMs: 600,
    /** A service that is asked by its name has this long; an absent one is known at once. */
    byNameMs: 4000,
    /** Several answers to one request. */
    answersMs: 500,
    abortAnswersMs: 1000,
    /** Services of the other machine have this long to answer, since silence counts as absence. */
    adoptMs: 5000,
    /** A job is asked for its state this often, in case an event was lost. */
    jobPollMs: 2000,
    /** A job without any news for this long is given up. */
    jobSilenceMs: 30_000,
    abortMs: 15_000,
    /** A sender without room for another job is asked again this often. */
    senderBusyMs: 2000,
    /** And for this long. */
    senderBusyPatienceMs: 600_000,
    /** A plan lists both sides. */
    planMs: 120_000,
    /** `doctor --fix` lists all of a host, and asks which jobs run. */
    staleMarksMs: 120_000,
    /** A store that does not answer is awaited this long. */
    storeMs: 15_000,
    storeProgressMs: 500,
    digestBusyMs: 1000,
    statusMs: 1000,
    jobsMs: 2000,
    demoReadyMs: 60_000,
    /** A completion in a shell looks for names this long. */
    completionMs: 300,
  },
});
