import { subjects } from '../../lib/bus/subjects.ts';
import type { World } from './world.ts';

export interface HonestWork {
  readonly done: () => number;
  readonly failed: () => number;
  /** Ends with what runs. */
  end(): Promise<void>;
}

/** What a day brings, over and over: snapshots, their events, direct and stored jobs, jobs to the enemy, digests, plans, status. */
export function honestWork({ bus, src, start, ended }: World): HonestWork {
  let goesOn = true;
  const counts = { done: 0, failed: 0 };
  const ask = (subject: string, body: object) =>
    bus.nc.request(subject, JSON.stringify(body), { timeout: 20_000 }).catch(() => undefined);
  const job = async (body: object): Promise<void> => {
    const { state } = await ended(await start(body));
    counts[state === 'done' ? 'done' : 'failed']++;
  };

  async function round(at: number): Promise<void> {
    for (const name of ['pool/a', 'pool/b']) {
      await src.zfs('set', 'zfs-sim:write=300000', name);
      await src.zfs('snapshot', `${name}@n${at}`);
    }
    bus.nc.publish(subjects.snapshotCreated('src'), `pool/b@n${at}`);
    const to = { host: 'dst', dataset: `pool/in/a${at % 3}` };
    await job({ dataset: 'pool/a', to });
    await job({ dataset: 'pool/a', to: { host: 'away', dataset: 'pool/a' }, channel: 'store' });
    await job({ dataset: 'pool/a', to: { host: 'enemy', dataset: `pool/in/e${at}` } });
    await ask(subjects.send('src', 'plan'), { dataset: 'pool/a', to });
    await ask(subjects.digest('src', 'start'), { snapshot: `pool/a@n${at}` });
    await ask(subjects.send('src', 'stale'), {});
    await ask(subjects.receive('dst', 'stale'), {});
  }

  const running = (async () => {
    // what meets forged messages may fail; the next round is another one
    for (let at = 1; goesOn; at++) await round(at).catch(() => counts.failed++);
  })();
  return {
    done: () => counts.done,
    failed: () => counts.failed,
    async end() {
      goesOn = false;
      await running;
    },
  };
}
