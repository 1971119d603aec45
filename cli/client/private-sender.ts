import { execa } from 'execa';
import { z } from 'zod';
import { isDeniedEndpoint } from '../../lib/bus/connection/denied-subjects.ts';
import { errorReplySchema, ZpsendError } from '../../schemas/errors.ts';
import { idSchema } from '../../schemas/names.ts';
import type { Cli } from '../context.ts';

export interface PrivateSender {
  readonly instance: string;
  readonly ended: Promise<unknown>;
  stop(): Promise<void>;
}

/** Its first line on standard output: it is ready, or why it cannot start. */
const firstLineSchema = z.union([z.object({ instance: idSchema }), errorReplySchema]);

/** Runs `zpsend sender --private`, which serves this command only, and ends when its standard input is closed. */
export async function startPrivate({ env, self: [node, script] }: Cli): Promise<PrivateSender> {
  const child = execa(node, [script, 'sender', '--private'], {
    env,
    extendEnv: false,
    stdin: 'pipe',
    // its log would mix with the progress; ZPSEND_LOG turns it on
    stderr: env.ZPSEND_LOG ? 'inherit' : 'pipe',
    // a Ctrl-C must reach this command only, which then aborts the jobs
    detached: true,
    reject: false,
    // the log of a long job is long
    buffer: false,
  });
  const ended: Promise<unknown> = child.then(() => undefined);
  let lastLines: string[] = [];
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    lastLines = [...lastLines, ...text.trim().split('\n')].slice(-3);
  });
  const ready = await Promise.race([firstLine(child.stdout), ended]);
  const reply = typeof ready === 'string' ? firstLineSchema.safeParse(tryJson(ready)).data : undefined;
  if (!reply || 'error' in reply) {
    child.kill();
    await ended;
    // a wrong host name or NATS user concerns the command too
    if (reply && (reply.error.code === 'OTHER_MACHINE' || isDeniedEndpoint(reply.error)))
      throw ZpsendError.fromBody(reply.error);
    const why = lastLines.join('; ') || String(ready);
    throw new ZpsendError(
      'UNREACHABLE',
      `no sender runs on this host, and a private one did not start (zpsend doctor checks this host): ${why}`,
    );
  }
  return {
    instance: reply.instance,
    ended,
    async stop() {
      child.stdin.end();
      await ended;
    },
  };
}

async function firstLine(stream: AsyncIterable<Buffer>): Promise<string> {
  let text = '';
  for await (const chunk of stream) {
    text += chunk.toString();
    if (text.includes('\n')) break;
  }
  return text.split('\n', 1)[0] ?? '';
}

function tryJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
