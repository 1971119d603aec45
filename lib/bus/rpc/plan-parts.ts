import { ZpsendError } from '../../../schemas/errors.ts';
import type { Plan, PlanPart, PlanReply } from '../../../schemas/plan.ts';
import { mostPartBytes } from '../bounds.ts';
import { isComplete } from './parts.ts';

/** The size of a part is far below max_payload, so that an entry that is longer than a part fits in a message. */
export const bytesPerPart = (maxPayload: number): number => Math.floor(Math.min(maxPayload, mostPartBytes) / 4);

type Part = Extract<Plan, { ok: true }>;

/** One entry of a plan, and how to add it to a part. */
interface Piece {
  readonly entry: object;
  addTo(part: Part): void;
}

function* piecesOf(plan: Part): Generator<Piece> {
  for (const step of plan.steps) yield { entry: step, addTo: (part) => part.steps.push(step) };
  for (const refused of plan.refused ?? []) {
    yield {
      entry: refused,
      addTo(part) {
        part.refused ??= [];
        part.refused.push(refused);
      },
    };
  }
  for (const note of plan.notes ?? []) {
    yield {
      entry: note,
      addTo(part) {
        part.notes ??= [];
        part.notes.push(note);
      },
    };
  }
}

/**
 * Cuts a plan into parts of one message each; a refusal, or a plan of few entries, is one part.
 * @param limit bytes of JSON in a part; an entry that is longer has a separate part
 */
export function* planParts(plan: Plan, limit: number): Generator<Plan> {
  if (!plan.ok) return yield plan;
  let part: Part = { ok: true, steps: [] };
  let room = limit;
  for (const { entry, addTo } of piecesOf(plan)) {
    const bytes = Buffer.byteLength(JSON.stringify(entry)) + 1;
    if (bytes > room && room < limit) {
      yield part;
      part = { ok: true, steps: [] };
      room = limit;
    }
    addTo(part);
    room -= bytes;
  }
  yield part;
}

/**
 * The inverse of planParts, on replies.
 * @throws ZpsendError STREAM_BROKEN if some of them are missing
 */
export function joinPlan(replies: readonly PlanPart[]): PlanReply {
  const [first] = replies;
  if (!first || !isComplete(replies)) {
    throw new ZpsendError('STREAM_BROKEN', `the plan is incomplete (${replies.length} messages arrived): try again`);
  }
  const { part: _, more: __, ...reply } = first;
  if (!first.plan.ok) return reply;
  const parts = replies.flatMap(({ plan }) => (plan.ok ? [plan] : []));
  const refused = parts.flatMap((part) => part.refused ?? []);
  const notes = parts.flatMap((part) => part.notes ?? []);
  return {
    ...reply,
    plan: {
      ok: true,
      steps: parts.flatMap(({ steps }) => steps),
      ...(refused.length > 0 && { refused }),
      ...(notes.length > 0 && { notes }),
    },
  };
}
