import { type ServiceProcess, startService } from '../support/service.ts';

type Role = 'sender' | 'receiver';

/** One instance of a service that runs. */
export interface Member {
  readonly role: Role;
  readonly host: string;
  /** As it calls itself. */
  readonly instance: string;
  readonly process: ServiceProcess;
}

/** The services of all hosts, so many instances of each. */
export interface Services {
  /** Starts those that are missing, as a supervisor does; `only`: of this host. */
  startMissing(only?: string): Promise<void>;
  of(role: Role, host: string): Member[];
  /** SIGKILL. */
  kill(member: Member): Promise<void>;
  /** SIGTERM to every receiver of a host. */
  stopReceivers(host: string): Promise<void>;
  end(): Promise<void>;
  /** The log of all of them, the dead too, since the last call, in the order of their clocks. */
  newLog(): string[];
}

export interface ServiceSpec {
  readonly role: Role;
  readonly host: string;
  readonly env: NodeJS.ProcessEnv;
}

export function openServices(specs: readonly ServiceSpec[], instances: number): Services {
  let members: Member[] = [];
  const reported = new Map<Member, number>();
  const of = (role: Role, host: string): Member[] =>
    members.filter((member) => member.role === role && member.host === host);
  const leave = async (gone: readonly Member[], signal: 'SIGTERM' | 'SIGKILL'): Promise<void> => {
    members = members.filter((member) => !gone.includes(member));
    await Promise.all(gone.map(({ process }) => process.end(signal)));
  };
  return {
    of,
    async startMissing(only) {
      for (const { role, host, env } of specs) {
        if (only !== undefined && host !== only) continue;
        while (of(role, host).length < instances) {
          const member = await join(role, host, env);
          reported.set(member, 0);
          members.push(member);
        }
      }
    },
    kill: (member) => leave([member], 'SIGKILL'),
    stopReceivers: (host) => leave(of('receiver', host), 'SIGTERM'),
    end: () => leave(members, 'SIGTERM'),
    newLog() {
      const lines = [...reported].flatMap(([member, from]) => {
        const { log } = member.process;
        reported.set(member, log.length);
        return log.slice(from).map((line) => inShort(member, line));
      });
      return lines.sort((one, other) => one.time - other.time).map(({ text }) => text);
    },
  };
}

async function join(role: Role, host: string, env: NodeJS.ProcessEnv): Promise<Member> {
  const process = await startService(role, env);
  const instance = process.lines('service.ready')[0]?.instance ?? '';
  return { role, host, instance, process };
}

function inShort({ role, host, instance }: Member, line: string): { time: number; text: string } {
  const { time, msg } = JSON.parse(line) as { time: number; msg: string };
  const at = new Date(time).toISOString().slice(11, 23);
  return { time, text: `${at} ${host} ${role} ${instance.slice(0, 4)}: ${msg}` };
}
