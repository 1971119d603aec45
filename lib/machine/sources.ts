import { idIn, smartosIdIn } from './derive.ts';

/** What an operating system can be asked. Each gives undefined where there is nothing of the kind. */
export interface MachineFacts {
  readonly platform: NodeJS.Platform;
  /** The file's bytes, one character each. */
  file(path: string): string | undefined;
  /** What the command prints. */
  command(program: string, ...argv: string[]): string | undefined;
}

/** A machine's own id, not hashed yet. */
export interface OwnId {
  readonly id: string;
  /** Where it is from, for people. */
  readonly source: string;
}

const fromFile = (path: string, { file }: MachineFacts, read = idIn): OwnId | undefined => {
  const id = read(file(path) ?? '');
  return id === undefined ? undefined : { id, source: path };
};

const fromCommand = ({ command }: MachineFacts, program: string, ...argv: string[]): OwnId | undefined => {
  const id = idIn(command(program, ...argv) ?? '');
  return id === undefined ? undefined : { id, source: [program, ...argv].join(' ') };
};

/** A zone may have the hostid of its machine, and has datasets of its own. */
function fromZone(facts: MachineFacts): OwnId | undefined {
  const hostid = fromCommand(facts, 'hostid');
  return hostid && { ...hostid, id: `${facts.command('zonename')?.trim() ?? 'global'} ${hostid.id}` };
}

const linux = [
  (facts: MachineFacts) => fromFile('/etc/machine-id', facts),
  (facts: MachineFacts) => fromFile('/var/lib/dbus/machine-id', facts),
  // zgenhostid(8). The hostid command is no help: without this file it prints an address, on Debian 127.0.1.1 for every machine
  (facts: MachineFacts) => fromFile('/etc/hostid', facts),
];

const sources: Partial<Record<NodeJS.Platform, ((facts: MachineFacts) => OwnId | undefined)[]>> = {
  linux,
  freebsd: [
    // of a jail the kernel tells the jail's own
    (facts) => fromCommand(facts, 'sysctl', '-n', 'kern.hostuuid'),
    (facts) => fromFile('/etc/hostid', facts),
    (facts) => fromFile('/etc/machine-id', facts),
  ],
  sunos: [(facts) => fromFile('/tmp/.sysinfo.json', facts, smartosIdIn), fromZone],
};

/** The first id that the operating system has; undefined where it has none. */
export function ownId(facts: MachineFacts): OwnId | undefined {
  for (const source of sources[facts.platform] ?? linux) {
    const found = source(facts);
    if (found) return found;
  }
  return undefined;
}

/** The id of the kernel's boot, which containers share with their machine; undefined where the system has none. */
export function bootId(facts: MachineFacts): string | undefined {
  if (facts.platform === 'freebsd') return fromCommand(facts, 'sysctl', '-n', 'kern.boot_id')?.id;
  return fromFile('/proc/sys/kernel/random/boot_id', facts)?.id;
}
