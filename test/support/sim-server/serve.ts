import { rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { logProcess } from '../../../tools/zfs-simulator/log.ts';
import { redirectOutput } from '../../../tools/zfs-simulator/output.ts';
import { run } from '../../../tools/zfs-simulator/run.ts';

/** What `zfs` in this folder asks for: who asked, its ZFS_SIM_ variables, and the words from `zfs` or `zpool` on. */
interface Command {
  readonly pid: number;
  readonly env: readonly string[];
  readonly argv: readonly string[];
}

function parse(request: string): Command {
  const [pid, count, ...words] = request.split('\0').slice(0, -1);
  return { pid: Number(pid), env: words.slice(0, Number(count)), argv: words.slice(Number(count)) };
}

function enter(env: readonly string[]): void {
  for (const name of Object.keys(process.env)) if (name.startsWith('ZFS_SIM_')) delete process.env[name];
  for (const pair of env) {
    const cut = pair.indexOf('=');
    process.env[pair.slice(0, cut)] = pair.slice(cut + 1);
  }
}

/** The answer: its exit status and how many bytes of stdout follow, in a line; these bytes; those of stderr. */
async function answer({ pid, env, argv }: Command): Promise<Buffer> {
  const printed: [stdout: Buffer[], stderr: Buffer[]] = [[], []];
  redirectOutput((fd, bytes) => {
    printed[fd === 1 ? 0 : 1].push(bytes);
  });
  enter(env);
  const [at, began] = [Date.now(), performance.now()];
  const exit = await run(argv).catch((error: Error) => {
    printed[1].push(Buffer.from(`${error.stack}\n`));
    return 1;
  });
  logProcess({ pid, argv, at, ms: performance.now() - began, exit });
  const [stdout, stderr] = printed.map((parts) => Buffer.concat(parts)) as [Buffer, Buffer];
  return Buffer.concat([Buffer.from(`${exit} ${stdout.length}\n`), stdout, stderr]);
}

let turn = Promise.resolve();

/** A command has the process to itself: its environment and output are this process's. */
async function take(socket: Socket): Promise<void> {
  // the client may be killed meanwhile; its command is done all the same
  socket.on('error', () => undefined);
  const request = await buffer(socket).catch(() => undefined);
  if (request === undefined) return;
  turn = turn.then(async () => {
    socket.end(await answer(parse(request.toString())));
  });
  await turn;
}

// serves on a socket until its parent is gone, and removes the folder of the run then
const [socket = '', folder = ''] = process.argv.slice(2);
process.on('disconnect', () => {
  rmSync(folder, { recursive: true, force: true, maxRetries: 10 });
  process.exit();
});
createServer({ allowHalfOpen: true }, (asked) => void take(asked)).listen(socket, () => process.send?.('ready'));
