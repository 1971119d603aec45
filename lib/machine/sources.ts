import { idIn, smartosIdIn } from './derive.ts';

/** Reads facts of an operating system. Each returns undefined if the file or command does not exist. */
export interface MachineFacts {
  readonly platform: NodeJS.Platform;
  /** The file's bytes, one character each. */
  file(path: string): string | undefined;
  /** The output of the command. */
  command(program: string, ...argv: string[]): string | undefined;
}

/** The id of a machine, not hashed. */
export interface OwnId {
  readonly id: string;
  /** Its source, for messages. */
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

/** Adds the zone's name: a zone may have the hostid of its machine, but has other datasets. */
function fromZone(facts: MachineFacts): OwnId | undefined {
  const hostid = fromCommand(facts, 'hostid');
  return hostid && { ...hostid, id: `${facts.command('zonename')?.trim() ?? 'global'} ${hostid.id}` };
}

const linux = [
  (facts: MachineFacts) => fromFile('/etc/machine-id', facts),
  (facts: MachineFacts) => fromFile('/var/lib/dbus/machine-id', facts),
  // zgenhostid(8). Not the hostid command: without this file it prints an address, on Debian 127.0.1.1 for every machine
  (facts: MachineFacts) => fromFile('/etc/hostid', facts),
];

const sources: Partial<Record<NodeJS.Platform, ((facts: MachineFacts) => OwnId | undefined)[]>> = {
  linux,
  freebsd: [
    // in a jail, the kernel returns the jail's own id
    (facts) => fromCommand(facts, 'sysctl', '-n', 'kern.hostuuid'),
    (facts) => fromFile('/etc/hostid', facts),
    (facts) => fromFile('/etc/machine-id', facts),
  ],
  sunos: [(facts) => fromFile('/tmp/.sysinfo.json', facts, smartosIdIn), fromZone],
};

/** The first id that the operating system has; undefined without one. */
export function ownId(facts: MachineFacts): OwnId | undefined {
  for (const source of sources[facts.platform] ?? linux) {
    const found = source(facts);
    if (found) return found;
  }
  return undefined;
}

/** The id of the kernel's boot, which containers share with their machine; undefined without one. */
export function bootId(facts: MachineFacts): string | undefined {
  if (facts.platform === 'freebsd') return fromCommand(facts, 'sysctl', '-n', 'kern.boot_id')?.id;
  return fromFile('/proc/sys/kernel/random/boot_id', facts)?.id;
}
