import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** Copies standard input to standard output at so many bytes a second, for as long as the file of the rate is there. */
const rate = Number(process.argv[2]);
const rateFile = process.argv[3] ?? '';
const began = performance.now();
let bytes = 0;
const early = (): number => (bytes / rate) * 1000 - (performance.now() - began);
process.stdout.on('error', () => process.exit(1));
for await (const chunk of process.stdin) {
  if (!process.stdout.write(chunk)) await new Promise((resolve) => process.stdout.once('drain', resolve));
  bytes += chunk.length;
  while (early() > 0 && existsSync(rateFile)) await sleep(Math.min(200, early()));
}
