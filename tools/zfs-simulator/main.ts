import { logProcess } from './log.ts';
import { run } from './run.ts';

const words = process.argv.slice(2);
const exit = await run(words);
logProcess({ pid: process.pid, argv: words, at: performance.timeOrigin, ms: performance.now(), exit });
process.exitCode = exit;
