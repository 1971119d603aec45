import { datasetOf, isWithin, leafOf } from '../../../schemas/names.ts';
import type { SendRequest } from '../../../schemas/plan.ts';
import { type Refusal, refuse } from '../refusal.ts';
import { targetRoot } from './target-name.ts';

/** A request that cannot be right whatever the datasets hold. */
export function requestFault(
  request: SendRequest,
  source: { host: string },
  target: { host: string },
): Refusal | undefined {
  const conflict = conflictOf(request);
  if (conflict !== undefined) return refuse('BAD_REQUEST', conflict);
  if (request.to.host !== target.host) {
    return refuse(
      'BAD_REQUEST',
      `The request goes to ${request.to.host}, but the target's listing is of ${target.host}.`,
    );
  }
  if (source.host !== target.host) return undefined;
  const [name, root] = [datasetOf(request.dataset), targetRoot(request)];
  const places = { details: { host: source.host, dataset: root } };
  if (root === name)
    return refuse('BAD_REQUEST', `${name} on ${source.host} cannot be sent to itself. Name another target.`, places);
  if (isWithin(root, name)) {
    return refuse(
      'BAD_REQUEST',
      `${name} on ${source.host} cannot be sent to ${root}, which lies inside it. Name another target.`,
      places,
    );
  }
  if (isWithin(name, root)) {
    return refuse(
      'BAD_REQUEST',
      `${name} on ${source.host} cannot be sent to ${root}, inside which it lies. Name another target.`,
      places,
    );
  }
  return undefined;
}

/** Parts of a request that contradict each other, in words. */
function conflictOf(request: SendRequest): string | undefined {
  const { from, full, to, exclude, snapshots, stream } = request;
  const name = datasetOf(request.dataset);
  const isNamed = leafOf(request.dataset) !== undefined;
  const flag = request.package === 'recursive' ? '-r' : '-R';
  const single = full ? '--full' : from === undefined ? undefined : `-i ${from}`;
  if (full && from !== undefined) {
    return `A full stream has no base: ask for --full or for -i ${from}, not for both.`;
  }
  if (single !== undefined && !isNamed) return `${single} sends one snapshot: name it, as in ${name}@snapshot.`;
  if (single !== undefined && request.package)
    return `${single} sends one snapshot, ${flag} a package: ask for one of them.`;
  if (request.selfContained && from !== undefined) return '-c is for clones that are sent whole, which -i never does.';
  if (request.package === 'recursive' && !isNamed) {
    return `-r sends one snapshot of each dataset: name it, as in ${name}@snapshot, or ask for all of them with -R.`;
  }
  if (exclude?.length && !request.package) return '--exclude is for a package: ask for -R or -r too.';
  if (request.parallel !== undefined && !request.package) {
    return '--parallel is about the datasets of a package: ask for -R or -r too.';
  }
  if (request.skipMissing && !(request.package && isNamed)) {
    return '--skip-missing is about datasets that lack the named snapshot of a package: ask for -R or -r, and name one.';
  }
  if (snapshots?.length && (single !== undefined || request.package === 'recursive')) {
    return `--snapshots picks among intermediate snapshots, and ${single ?? '-r'} sends none.`;
  }
  if (stream?.raw && [stream.largeBlock, stream.embed, stream.compressed].includes(false)) {
    return '--raw sends encrypted datasets as they are on disk, which --no-large-block, --no-embed and --no-compressed cannot change.';
  }
  if (to.append !== undefined && to.dataset === undefined) {
    return `${to.append === 'path' ? '-d' : '-e'} appends to a dataset of the target: name it, as in ${to.host}:pool/backup.`;
  }
  return undefined;
}
