import { setTimeout as sleep } from 'node:timers/promises';

/** Copies standard input to standard output at so many bytes a second. */
const rate = Number(process.argv[2]);
const began = performance.now();
let bytes = 0;
process.stdout.on('error', () => process.exit(1));
for await (const chunk of process.stdin) {
  if (!process.stdout.write(chunk)) await new Promise((resolve) => process.stdout.once('drain', resolve));
  bytes += chunk.length;
  await sleep(Math.max(0, (bytes / rate) * 1000 - (performance.now() - began)));
}
