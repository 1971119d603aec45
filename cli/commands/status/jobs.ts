import { setTimeout as sleep } from 'node:timers/promises';
import type { Bus } from '../../../lib/bus/connection/connect.ts';
import { gather } from '../../../lib/bus/rpc/request.ts';
import { subjects } from '../../../lib/bus/subjects.ts';
import { timing } from '../../../lib/time/timing.ts';
import { ZpsendError } from '../../../schemas/errors.ts';
import { eachInfoSchema } from '../../../schemas/host.ts';
import { sendStatusSchema } from '../../../schemas/job.ts';
import type { StatusOutput } from '../../../schemas/output.ts';
import { receiveStatusSchema } from '../../../schemas/transfer.ts';
import { discoverHosts } from '../../client/find-hosts.ts';
import { exit } from '../../exit-codes.ts';
import { statusLines } from '../../output/jobs.ts';
import type { Io } from '../../output/terminal.ts';

/**
 * Shows the jobs and transfers of one host, or of all hosts that answer; repeatedly with `watch`.
 * @throws ZpsendError UNREACHABLE if the host does not answer
 */
export async function showJobs(
  bus: Bus,
  io: Io,
  host: string | undefined,
  how: { json: boolean; watch: boolean },
): Promise<number> {
  for (;;) {
    const now = await statusOf(bus, host);
    if (how.json) io.out(JSON.stringify(now));
    else if (how.watch && io.isTerminal) io.page(statusLines(now));
    else statusLines(now).forEach(io.out);
    if (!how.watch) return exit.done;
    await sleep(timing.cli.jobsMs);
  }
}

async function statusOf(bus: Bus, host: string | undefined): Promise<StatusOutput> {
  const names = host === undefined ? await discoverHosts(bus) : [host];
  const each = async (name: string) => {
    const [instances, senders, receivers] = await Promise.all([
      gather(bus, subjects.each(subjects.info(name)), {}, eachInfoSchema, timing.cli.answersMs),
      gather(bus, subjects.each(subjects.send(name, 'status')), {}, sendStatusSchema, timing.cli.answersMs),
      gather(bus, subjects.each(subjects.receive(name, 'status')), {}, receiveStatusSchema, timing.cli.answersMs),
    ]);
    if (host !== undefined && instances.length === 0) throw unreachable(host);
    return {
      host: name,
      jobs: senders.flatMap(({ jobs }) => jobs),
      transfers: receivers.flatMap(({ transfers }) => transfers),
    };
  };
  return { hosts: await Promise.all(names.map(each)) };
}

const unreachable = (host: string): ZpsendError =>
  new ZpsendError('UNREACHABLE', `no service of ${host} answers; zpsend hosts lists the hosts that answer`, { host });
