import type { NatsConnection } from '@nats-io/transport-node';
import type { Random } from '../support/random.ts';
import { mutatedBody } from './mutate.ts';

/** A host that answers each request as the honest one does, but for what it changes: listings, resume tokens, offers. */
export function openEnemy(nc: NatsConnection, { name, as }: { name: string; as: string }, random: Random): void {
  nc.subscribe(`zfs.${name}.>`, {
    callback(error, message) {
      if (error || !message.reply) return;
      void answer(message.subject, Buffer.from(message.data), (body) => message.respond(body));
    },
  });

  async function answer(subject: string, body: Buffer, respond: (body: Buffer) => void): Promise<void> {
    const honest = Buffer.from(body.toString().replaceAll(name, as));
    try {
      const answers = await nc.requestMany(subject.replace(`zfs.${name}.`, `zfs.${as}.`), honest, {
        strategy: 'sentinel',
        maxWait: 3000,
      });
      for await (const { data } of answers) {
        const renamed = Buffer.from(Buffer.from(data).toString().replaceAll(as, name));
        respond(data.length === 0 || random.chance(0.3) ? renamed : mutatedBody(renamed, random));
      }
    } catch {
      respond(mutatedBody(Buffer.from('{}'), random));
    }
  }
}
