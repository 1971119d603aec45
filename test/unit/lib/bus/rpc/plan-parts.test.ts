import { expect, test } from 'vitest';
import { numbered } from '../../../../../lib/bus/rpc/parts.ts';
import { bytesPerPart, joinPlan, planParts } from '../../../../../lib/bus/rpc/plan-parts.ts';
import { ZpsendError } from '../../../../../schemas/errors.ts';
import type { Plan, PlanReply } from '../../../../../schemas/plan.ts';
import { mentions } from '../../../../support/mentions.ts';

const name = (n: number, leaf = '') => `pool/${String(n).padStart(8, '0')}${'x'.repeat(230 - leaf.length)}${leaf}`;

/** A plan with this many entries of each kind, with the longest names. */
const planOf = (count: number): Extract<Plan, { ok: true }> => ({
  ok: true,
  steps: Array.from({ length: count }, (_, n) => ({
    type: 'incremental',
    to: { name: name(n, '@b'), guid: '18446744073709551615' },
    from: { name: name(n, '@a'), guid: '18446744073709551614', kind: 'snapshot' },
    targetDataset: name(n),
    origin: name(n, '@a'),
    size: 123456789,
  })),
  refused: Array.from({ length: count }, (_, n) => ({
    dataset: name(n),
    targetDataset: name(n),
    error: new ZpsendError('DIVERGED', `${n}: ${'ä'.repeat(3000)}`).toBody(),
    evidence: { newestCommon: null, sourceOnly: [name(n)], targetOnly: [name(n)] },
  })),
  notes: Array.from({ length: count }, (_, n) => ({ kind: 'skipped', dataset: name(n), message: `left out: ${n}` })),
});
const limit = bytesPerPart(1024 * 1024);
const reply = (plan: Plan): PlanReply => ({ sourceHost: 'smos-01', targetHost: 'smos-00', plan });
const bytes = (plan: Plan): number => Buffer.byteLength(JSON.stringify(plan));

test('cutting a plan of thousands of steps, refusals and notes into messages and joining them restores it', () => {
  const plan = planOf(2000);
  expect(bytes(plan)).toBeGreaterThan(8 * 1024 * 1024);
  const parts = [...planParts(plan, limit)];
  for (const part of parts) expect(bytes(part)).toBeLessThan(300 * 1024);
  expect(parts.length, 'and they are not small').toBeLessThan((bytes(plan) / (256 * 1024)) * 1.2);
  expect(joinPlan(numbered(parts.map(reply)))).toEqual(reply(plan));
});

test.each<[string, Plan]>([
  ['of few entries', planOf(3)],
  ['of no steps', { ok: true, steps: [] }],
  ['of which all is refused', { ok: false, error: new ZpsendError('DIVERGED', 'x').toBody() }],
])('a plan %s is one message', (_what, plan) => {
  expect([...planParts(plan, limit)]).toEqual([plan]);
  expect(joinPlan(numbered([reply(plan)]))).toEqual(reply(plan));
});

test('an entry that is longer than a part has a separate part', () => {
  const plan = planOf(2);
  const parts = [...planParts(plan, 100)];
  expect(parts).toHaveLength(6);
  expect(joinPlan(numbered(parts.map(reply)))).toEqual(reply(plan));
});

test('an incomplete or empty list of parts is refused', () => {
  const parts = numbered([...planParts(planOf(2), 100)].map(reply));
  for (const some of [[], parts.slice(0, -1), parts.slice(1)])
    expect(() => joinPlan(some)).toThrow(
      expect.objectContaining({ code: 'STREAM_BROKEN', message: mentions(some.length) }),
    );
});
