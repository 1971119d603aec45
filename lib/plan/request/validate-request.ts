import { datasetOf, isWithin, leafOf } from '../../../schemas/names.ts';
import type { SendRequest } from '../../../schemas/plan.ts';
import { type Refusal, refuse } from '../refusal.ts';
import { targetRoot } from './target-name.ts';

/** Why a request is invalid, independent of the datasets' contents. */
export function requestFault(
  request: SendRequest,
  source: { host: string },
  target: { host: string },
): Refusal | undefined {
  const contradiction = contradictionIn(request);
  if (contradiction !== undefined) return refuse('BAD_REQUEST', contradiction);
  if (request.to.host !== target.host) {
    return refuse(
      'BAD_REQUEST',
      `The request is for ${request.to.host}, but the target's listing is of ${target.host}.`,
    );
  }
  if (source.host !== target.host) return undefined;
  const [name, root] = [datasetOf(request.dataset), targetRoot(request)];
  const details = { details: { host: source.host, dataset: root } };
  if (root === name)
    return refuse('BAD_REQUEST', `${name} on ${source.host} cannot be sent to itself. Name another target.`, details);
  if (isWithin(root, name)) {
    return refuse(
      'BAD_REQUEST',
      `${name} on ${source.host} cannot be sent to ${root}, which is inside it. Name another target.`,
      details,
    );
  }
  if (isWithin(name, root)) {
    return refuse(
      'BAD_REQUEST',
      `${name} on ${source.host} cannot be sent to ${root}, because it is inside that. Name another target.`,
      details,
    );
  }
  return undefined;
}

/** A message about options that contradict each other. */
function contradictionIn(request: SendRequest): string | undefined {
  const { from, full, to, exclude, snapshots, stream } = request;
  const name = datasetOf(request.dataset);
  const isNamed = leafOf(request.dataset) !== undefined;
  const flag = request.package === 'recursive' ? '-r' : '-R';
  const single = full ? '--full' : from === undefined ? undefined : `-i ${from}`;
  if (full && from !== undefined) {
    return `A full stream has no base: use either --full or -i ${from}.`;
  }
  if (single !== undefined && !isNamed) return `${single} sends one snapshot: name it, as in ${name}@snapshot.`;
  if (single !== undefined && request.package)
    return `${single} sends one snapshot, and ${flag} sends a package: use only one of them.`;
  if (request.selfContained && from !== undefined)
    return '-c sends clones in full, which contradicts -i: use only one of them.';
  if (request.package === 'recursive' && !isNamed) {
    return `-r sends one snapshot of each dataset: name it, as in ${name}@snapshot, or send all of them with -R.`;
  }
  if (exclude?.length && !request.package) return '--exclude needs a package: add -R or -r.';
  if (request.parallel !== undefined && !request.package) {
    return '--parallel needs a package: add -R or -r.';
  }
  if (request.skipMissing && !(request.package && isNamed)) {
    return '--skip-missing leaves out datasets of a package that lack the named snapshot: add -R or -r, and name a snapshot.';
  }
  if (snapshots?.length && (single !== undefined || request.package === 'recursive')) {
    return `--snapshots selects intermediate snapshots, but ${single ?? '-r'} sends none: omit one of them.`;
  }
  if (stream?.raw && [stream.largeBlock, stream.embed, stream.compressed].includes(false)) {
    return '--raw sends encrypted datasets as they are on disk: omit --no-large-block, --no-embed and --no-compressed.';
  }
  if (to.append !== undefined && to.dataset === undefined) {
    return `${to.append === 'path' ? '-d' : '-e'} appends to a dataset of the target: name one, as in ${to.host}:pool/backup.`;
  }
  return undefined;
}
