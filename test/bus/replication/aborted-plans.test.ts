import { expect, onTestFinished, test } from 'vitest';
import { readStatus } from '../../../lib/bus/status/read.ts';
import { subjects } from '../../../lib/bus/subjects.ts';
import { jobAbortedSchema } from '../../../schemas/job.ts';
import { useFleet } from '../../support/fleet.ts';
import { useNatsAccounts } from '../../support/nats-account.ts';

const natsUrl = useNatsAccounts();

/** More than plan for one target at once. */
const names = Array.from({ length: 6 }, (_, at) => `pool/d${at}`);

test('jobs that are aborted while their target hangs do not plan when it continues, and their rows stay failed', async () => {
  const fleet = await useFleet(natsUrl());
  const [source, target] = await Promise.all([fleet.host('src'), fleet.host('dst')]);
  for (const host of [source, target]) await host.zpool('create', 'pool');
  for (const name of names) await source.zfs('create', name);
  await source.zfs('snapshot', '-r', 'pool@one');
  const receiver = await fleet.start('receiver', target, { ZPSEND_ALLOW: '*=pool' });
  const sender = await fleet.start('sender', source);
  const to = { to: { host: 'dst' }, channel: 'direct' };
  for (const dataset of names) expect(await fleet.send('src', { dataset, ...to })).toMatchObject({ state: 'done' });

  process.kill(receiver.pid, 'SIGSTOP');
  onTestFinished(() => void process.kill(receiver.pid, 'SIGCONT'));
  const jobs = await Promise.all(names.map((dataset) => fleet.begin('src', { dataset, ...to })));
  for (const job of jobs) await fleet.ask(subjects.send('src', 'abort'), { job }, jobAbortedSchema);
  for (const job of jobs) expect((await fleet.ended('src', job)).error?.code).toBe('ABORTED');
  process.kill(receiver.pid, 'SIGCONT');
  // plans of this target take turns: those of the aborted ones would end before the last of these
  await source.zfs('snapshot', 'pool/d0@two');
  for (const _ of names) await fleet.send('src', { dataset: 'pool/d0', ...to });

  const rows = (await readStatus(fleet.bus, 'src', 'dst'))?.found ?? [];
  expect(rows.map(({ dataset, entry }) => [dataset, entry.run?.state, entry.error?.code]).sort()).toEqual(
    names.map((name, at) => (at === 0 ? [name, 'done', undefined] : [name, 'failed', 'ABORTED'])),
  );
  const lines = sender.log.map((line) => JSON.parse(line));
  expect(lines.filter(({ job, event }) => jobs.includes(job) && /listed$/.test(event))).toEqual([]);
});
