import { datasetOf, isWithin, leafOf } from '../../../schemas/names.ts';
import type { SendRequest } from '../../../schemas/request.ts';
import { type Refusal, refuse } from '../refusal.ts';
import type { JobContext } from './job-context.ts';

/** Why a request is invalid, independent of the datasets' contents. */
export function requestFault({
  sourceHost,
  targetHost,
  sourceDataset,
  targetDataset,
  request,
}: JobContext): Refusal | undefined {
  const contradiction = contradictionIn(request);
  if (contradiction !== undefined) return refuse('BAD_REQUEST', contradiction);
  if (sourceHost !== targetHost) return undefined;
  const refused = (where: string): Refusal =>
    refuse('BAD_REQUEST', `${sourceDataset} on ${sourceHost} cannot be sent to ${where}. Name another target.`, {
      details: { host: sourceHost, dataset: targetDataset },
    });
  if (targetDataset === sourceDataset) return refused('itself');
  if (isWithin(targetDataset, sourceDataset)) return refused(`${targetDataset}, which is inside it`);
  return isWithin(sourceDataset, targetDataset) ? refused(`${targetDataset}, because it is inside that`) : undefined;
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
