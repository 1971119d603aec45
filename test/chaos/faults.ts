import { openLocks } from '../../lib/bus/locks/locks.ts';
import { locksBucket, streamsBucket } from '../../lib/bus/subjects.ts';
import type { Job } from '../../schemas/job.ts';
import type { Fault, Scenario } from './scenarios.ts';
import type { Member } from './service-processes.ts';
import { lockSeconds, type World } from './world.ts';

/**
 * Strikes once, those who work where that can be known.
 * @param job what runs
 * @returns who was hit, for people
 */
export async function inject(
  world: World,
  { fault, which }: Pick<Scenario, 'fault' | 'which'>,
  job: Job,
): Promise<string> {
  switch (fault) {
    case 'kill-sender':
      return kill(world, world.services.of('sender', world.source.name), job.instance, which);
    case 'kill-receiver':
      return killReceiver(world, job, which);
    case 'kill-node':
      await serverOf(world, which)?.kill();
      return `server n${(which % world.servers.length) + 1}`;
    default:
      return stepDown(world, fault);
  }
}

/** What a supervisor does. */
export async function recover(world: World, { fault, which }: Pick<Scenario, 'fault' | 'which'>): Promise<void> {
  if (fault === 'kill-node') await serverOf(world, which)?.restart();
  await world.services.startMissing();
}

const serverOf = ({ servers }: World, which: number) => servers[which % servers.length];

async function kill({ services }: World, members: readonly Member[], instance: string, which: number): Promise<string> {
  const member = members.find((one) => one.instance === instance) ?? members[which % members.length];
  if (!member) return 'none';
  await services.kill(member);
  return `${member.role} ${member.instance} on ${member.host}`;
}

/** The one that holds a lock, or any that is there. */
async function killReceiver(world: World, job: Job, which: number): Promise<string> {
  const members = world.targets.flatMap(({ name }) => world.services.of('receiver', name));
  const locks = await (await openLocks(world.bus, lockSeconds)).list();
  const { owner } = locks.find(({ host }) => host === job.request.to.host) ?? locks[0] ?? { owner: '' };
  return kill(world, members, owner.split('/')[1] ?? '', which);
}

const groups: Record<Exclude<Fault, 'kill-sender' | 'kill-receiver' | 'kill-node'>, (source: string) => string> = {
  'leader-locks': () => `STREAM.LEADER.STEPDOWN.KV_${locksBucket}`,
  'leader-streams': (source) => `STREAM.LEADER.STEPDOWN.OBJ_${streamsBucket(source)}`,
  'leader-meta': () => 'META.LEADER.STEPDOWN',
};

async function stepDown({ bus, source }: World, fault: keyof typeof groups): Promise<string> {
  const subject = `$JS.API.${groups[fault](source.name)}`;
  const name = `the leader of ${fault.replace('leader-', '')}`;
  // an answer that is late is no news of what was done
  const answer = await bus.nc.request(subject, '', { timeout: 10_000 }).catch(() => undefined);
  if (!answer) return `${name}, unanswered`;
  const { error } = answer.json<{ error?: { description: string } }>();
  if (error) throw new Error(`${subject}: ${error.description}`);
  return name;
}
