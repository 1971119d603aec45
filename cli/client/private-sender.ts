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

/** What it says on standard output: that it is ready, or why it cannot be. */
const firstWordSchema = z.union([z.object({ instance: idSchema }), errorReplySchema]);

/** Runs `zpsend sender --private`, which serves this command alone and ends when its standard input is closed. */
export async function startPrivate({ env, self: [node, script] }: Cli): Promise<PrivateSender> {
  const child = execa(node, [script, 'sender', '--private'], {
    env,
    extendEnv: false,
    stdin: 'pipe',
    // its log would disturb the progress; ZPSEND_LOG asks for it
    stderr: env.ZPSEND_LOG ? 'inherit' : 'pipe',
    // a Ctrl-C is for this command, which then tells the sender
    detached: true,
    reject: false,
    // a long job says more than may be kept
    buffer: false,
  });
  const ended: Promise<unknown> = child.then(() => undefined);
  let said: string[] = [];
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    said = [...said, ...text.trim().split('\n')].slice(-3);
  });
  const ready = await Promise.race([firstLine(child.stdout), ended]);
  const word = typeof ready === 'string' ? firstWordSchema.safeParse(tryJson(ready)).data : undefined;
  if (!word || 'error' in word) {
    child.kill();
    await ended;
    // that the host name, or the NATS user, is another's is the command's own error
    if (word && (word.error.code === 'OTHER_MACHINE' || isDeniedEndpoint(word.error)))
      throw ZpsendError.fromBody(word.error);
    const why = said.join('; ') || String(ready);
    throw new ZpsendError('UNREACHABLE', `no sender runs on this host, and one cannot be started: ${why}`);
  }
  return {
    instance: word.instance,
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
