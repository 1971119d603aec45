import type { z } from 'zod';
import { jobSchema } from '../../schemas/job.ts';
import { logEventGroups } from '../../schemas/log-event.ts';
import { transferStateSchema } from '../../schemas/transfer.ts';
import { descriptionOf, typeOf } from './config-keys.ts';
import { code, madeFrom, tableOf } from './markdown.ts';

const introduction = `# Events

zpsend publishes events on the bus, and each line of a service's log has an event. Both are for programs: filters, alerts and dashboards.

${madeFrom('schemas/log-event.ts', 'schemas/job.ts', 'schemas/transfer.ts')}
## Events on the bus

\`nats sub 'zfs.*.event.>'\` shows all of them. \`<host>\` is the source host for a job, and the target host for a receive.
An event has no stream, so a subscriber that is not connected misses it. Only \`snapshot.created\` is kept, in the stream \`ZFS_EVENTS\`.

| subject | when | body |
|---|---|---|
| \`zfs.<host>.event.job.started\` | a job starts | the job |
| \`zfs.<host>.event.job.progress\` | while a job runs | the job |
| \`zfs.<host>.event.job.done\` | a job is done | the job |
| \`zfs.<host>.event.job.failed\` | a job has failed | the job, with its \`error\` |
| \`zfs.<host>.event.recv.started\` | a receive starts | the receive |
| \`zfs.<host>.event.recv.done\` | a receive is done | the receive |
| \`zfs.<host>.event.recv.failed\` | a receive has failed | the receive |
| \`zfs.<host>.event.snapshot.created\` | published by you or by ZED: a new snapshot, which starts policies | \`pool/dataset@snapshot\`, or \`{"snapshot":"..."}\` |

\`dist/schemas/zpsend.schema.json\` has the JSON Schema of each body: \`job\`, \`transfer-state\` and \`snapshot-created\`.
`;

function fieldRow([name, schema]: [string, z.ZodType]): string[] {
  const isOptional = schema.safeParse(undefined).success;
  return [code(name), typeOf(schema), `${descriptionOf(schema)}${isOptional ? ' Can be absent.' : ''}`];
}

const fieldsOf = ({ shape }: z.ZodObject): string =>
  tableOf(
    ['field', 'value', 'meaning'],
    Object.entries(shape).map(([name, schema]) => fieldRow([name, schema as z.ZodType])),
  );

const logIntroduction = `
## Events of the log

With \`ZPSEND_LOG=json\`, each line of the log is a JSON object. \`event\` is one of the names below, and \`msg\` is a text for people.
The text can change in any release. \`level\` is that of pino: 30 is info, 40 a warning, 50 an error.
\`code\` is the code of an [error](errors.md). \`job\`, \`source\`, \`dataset\`, \`snapshot\` and \`target\` name what the line is about.
`;

/** docs/reference/events.md */
export const eventsPage = (): string =>
  [
    introduction,
    `\n### A job\n\n${fieldsOf(jobSchema)}`,
    `\n### A receive\n\n${fieldsOf(transferStateSchema)}`,
    logIntroduction,
    ...Object.entries(logEventGroups).map(
      ([title, group]) =>
        `\n### ${title}\n\n${tableOf(
          ['event', 'meaning'],
          Object.entries(group).map(([event, means]) => [code(event), means]),
        )}`,
    ),
  ].join('');
