import { propertyName } from './columns.ts';
import { consume, type Outcome, readBegin, streamReader } from './consume.ts';
import { niceBytes } from './format.ts';
import { assignments, getopt } from './getopt.ts';
import { changePoolOf, findDataset, noSuch, readPoolOf } from './lookup.ts';
import { checkedName, nameFault, parseName } from './names.ts';
import { complain, print } from './output.ts';
import { beginReceipt, beingReceived, dropReceipt, readProgress } from './receipt.ts';
import { type Admission, admit, type Wishes } from './receive-admit.ts';
import { applyStream } from './receive-apply.ts';
import { Refusal, usage } from './refusal.ts';
import { encodeToken } from './resume-token.ts';
import { type StreamHead, streamKind } from './stream-format.ts';

const SYNOPSIS = `receive [-vMnsFhu] [-o <property>=<value>] ... [-x <property>] ...
\t    <filesystem|volume|snapshot>
\treceive -A <filesystem|volume>`;

/** `zfs receive`: receives a stream from stdin, or with -A discards partial state. */
export function receive(argv: readonly string[]): void {
  const { given, operands } = getopt(argv, 'vMnsFhuAdeo:x:', SYNOPSIS);
  const [target, ...more] = operands;
  if (target === undefined) throw usage('missing snapshot argument', SYNOPSIS);
  if (more.length > 0) throw usage('too many arguments', SYNOPSIS);
  if (given.has('A')) {
    abort(target);
    return;
  }
  const wishes: Wishes = {
    target,
    resumable: given.has('s'),
    force: given.has('F'),
    unmounted: given.has('u'),
    set: assignments(given.get('o') ?? [], SYNOPSIS),
    exclude: given.get('x') ?? [],
  };
  for (const name of [...wishes.set.keys(), ...wishes.exclude]) {
    if (propertyName(name) === undefined || name === 'volsize') {
      throw new Refusal(`cannot receive: cannot receive: invalid property '${name}'`);
    }
  }
  const reader = streamReader();
  const head = readBegin(reader);
  if (nameFault(target) !== undefined) throw new Refusal('cannot receive: invalid name');
  const pool = readPoolOf(target);
  if (pool === undefined || given.has('n')) {
    // without a pool, it is refused as in an empty pool
    admit(pool ?? { name: '', guid: '0', size: 0, txg: 0, datasets: [] }, head, wishes);
    reader.drain();
    return;
  }
  const began = Date.now();
  const admission = changePoolOf(target, (current) => admitAndRecord(current, head, wishes));
  const into = `${parseName(target).dataset}@${parseName(target).snapshot ?? head.toname.split('@')[1]}`;
  const kind = head.fromguid === '0' ? 'full' : 'incremental';
  if (given.has('v')) print(`receiving ${kind} stream of ${head.toname} into ${into}\n`);
  if (admission === 'already there') {
    reader.drain();
    return;
  }
  const outcome = consume(reader, head, admission.id, admission.room);
  if (outcome.fault === undefined) {
    try {
      changePoolOf(target, (current) => applyStream(current, head, wishes, admission));
    } catch (refusal) {
      discard(wishes, admission);
      throw refusal;
    }
    const seconds = Math.max(0.01, (Date.now() - began) / 1000);
    const rate = niceBytes(Math.round(outcome.bytes / seconds));
    if (given.has('v'))
      print(`received ${niceBytes(outcome.bytes)} stream in ${seconds.toFixed(2)} seconds (${rate}/sec)\n`);
    return;
  }
  throw interrupted(outcome, head, wishes, admission);
}

function admitAndRecord(
  pool: Parameters<typeof admit>[0],
  head: StreamHead,
  wishes: Wishes,
): Admission | 'already there' {
  const admission = admit(pool, head, wishes);
  if (admission === 'already there') return admission;
  for (const warning of admission.warnings) complain(`${warning}\n`);
  if (head.resume === undefined) beginReceipt(admission.id, { ...head, object: 0, offset: 0, bytes: 0 });
  return admission;
}

/** Discards a failed receive, except for the partial state of -s. */
function discard(wishes: Wishes, admission: Admission): ReturnType<typeof readProgress> {
  const kept = wishes.resumable ? readProgress(admission.id) : undefined;
  changePoolOf(wishes.target, (pool, { dataset: name }) => {
    const dataset = findDataset(pool, name);
    if (kept !== undefined || dataset?.receipt === undefined) return;
    dropReceipt(dataset.receipt);
    if (dataset.receipt.fresh) pool.datasets = pool.datasets.filter((other) => other !== dataset);
    delete dataset.receipt;
  });
  return kept;
}

/** The message and the partial state of a stream that does not reach its end. */
function interrupted(outcome: Outcome, head: StreamHead, wishes: Wishes, admission: Admission): Refusal {
  const kept = discard(wishes, admission);
  const context = `cannot receive ${streamKind(head, wishes.set.has('origin'))} stream`;
  if (outcome.fault === 'no space') return new Refusal(`${context}: out of space`);
  if (outcome.fault === 'quota') {
    return new Refusal(`${context}: destination ${parseName(wishes.target).dataset} space quota exceeded.`);
  }
  if (outcome.fault === 'planned') return outcome.failure ?? new Refusal(context);
  if (kept === undefined) {
    return new Refusal(`${context}: ${outcome.fault === 'cut' ? 'incomplete stream' : 'checksum mismatch'}`);
  }
  return new Refusal(
    `${context}: checksum mismatch or incomplete stream.\nPartially received snapshot is saved.\n` +
      `A resuming stream can be generated on the sending system by running:\n    zfs send -t ${encodeToken(kept)}`,
  );
}

function abort(target: string): void {
  checkedName(target);
  changePoolOf(target, (pool, { dataset: name }) => {
    const dataset = findDataset(pool, name);
    if (dataset === undefined) throw usage(noSuch(target).message, SYNOPSIS);
    if (!dataset.receipt?.resumable) {
      throw new Refusal(`'${target}' does not have any resumable receive state to abort`);
    }
    if (beingReceived(dataset)) throw new Refusal(`cannot destroy '${target}': dataset is busy`);
    if (pool.readOnly) throw new Refusal(`cannot destroy '${target}': pool is read-only`);
    dropReceipt(dataset.receipt);
    if (dataset.receipt.fresh) pool.datasets = pool.datasets.filter((other) => other !== dataset);
    delete dataset.receipt;
  });
}
