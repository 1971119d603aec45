import type { MsgHdrs } from '@nats-io/transport-node';
import { describe, expect, it } from 'vitest';
import type { Bus } from '../../../../../lib/bus/connection/connect.ts';
import { machineIn } from '../../../../../lib/bus/rpc/machine-header.ts';
import type { DatasetPlan } from '../../../../../lib/plan/dataset-plan.ts';
import { systemClock } from '../../../../../lib/time/clock.ts';
import type { ErrorBody } from '../../../../../schemas/errors.ts';
import type { Plan, Step } from '../../../../../schemas/plan.ts';
import {
  maxChecked,
  type ReceiveCheck,
  receiveCheckedSchema,
  receiveCheckSchema,
} from '../../../../../schemas/transfer.ts';
import { checkedParts } from '../../../../../services/receiver/admission/check-configured.ts';
import { askReceiver, batchesOf, withoutRefused } from '../../../../../services/sender/planning/check-receiver.ts';
import { stepStart } from '../../../../../services/sender/transfer/receive-request.ts';
import { mentions } from '../../../../support/mentions.ts';
import { contextOf } from '../../../../support/planning.ts';

const step = (target: string, more: Partial<Step> = {}): Step => ({
  type: 'full',
  to: { name: `zones/${target}@1`, guid: '1' },
  targetDataset: target,
  ...more,
});
const start = (target: string, more: Partial<Step> = {}) => stepStart(step(target, more));
const rule = (into: string) => ({ from: '*' as const, into, conflicts: [] });
const config = (...into: string[]) => ({ allow: into.map(rule), properties: { set: {}, exclude: [] } });
const check = (starts: ReceiveCheck['starts'], into: string[], properties?: ReceiveCheck['properties']) =>
  [
    ...checkedParts({ sourceHost: 'smos-01', starts, ...(properties && { properties }) }, 'dr-1', config(...into), 1e6),
  ].flatMap(({ refused }) => refused);

describe('the datasets that a receiver refuses', () => {
  it('are those that its rules do not allow, with the rule to add', () => {
    const [one, ...others] = check([start('tank/a'), start('dozer/a')], ['tank']);
    expect(others).toEqual([]);
    expect(one).toMatchObject({ targetDataset: 'dozer/a', error: { code: 'NOT_ALLOWED' } });
    expect(one?.error.message).toEqual(
      mentions('smos-01', 'dozer/a', 'dr-1', 'tank', '{from: "smos-01", into: "dozer/a"}', 'smos-01=dozer/a'),
    );
  });

  it('include forbidden conflicts, properties, origins and parents', () => {
    const from = { name: 'zones/a@0', guid: '9', kind: 'snapshot' as const };
    const before = { kind: 'rollback' as const, guid: '1', to: { name: 'tank/a@0', guid: '9' }, destroys: [] };
    const rollback = check([{ ...start('tank/a', { type: 'incremental', from }), before }], ['tank']);
    expect(rollback[0]?.error).toMatchObject({
      code: 'NOT_ALLOWED',
      message: mentions('conflicts: [rollback]', '{from: "*", into: "tank"}'),
    });
    expect(check([start('tank/a')], ['tank'], { set: { atime: 'on' } })[0]?.error.code).toBe('NOT_ALLOWED');
    expect(check([start('tank/a', { from, origin: 'dozer/o@0' })], ['tank'])[0]?.error).toMatchObject({
      details: { origin: 'dozer/o@0' },
      message: mentions('{from: "smos-01", into: "dozer/o"}'),
    });
    const parents = ['tank/far', 'tank/far/off'];
    expect(check([start('tank/far/off/a', { parents })], ['tank/far/off'])[0]?.error).toMatchObject({
      code: 'NO_SUCH_DATASET',
      details: { dataset: 'tank/far' },
    });
  });

  it('of ten thousand are checked in messages of bounded size', () => {
    const name = (at: number) => `tank/${'x'.repeat(200)}${at}`;
    const starts = Array.from({ length: 10_000 }, (_, at) => start(name(at)));
    const batches = [...batchesOf(starts, 128 * 1024)];
    expect(batches.flat()).toEqual(starts);
    const parts = batches.flatMap((batch) => {
      const body = { sourceHost: 'smos-01', starts: batch };
      expect(receiveCheckSchema.parse(body)).toEqual(body);
      expect(JSON.stringify(body).length).toBeLessThan(160 * 1024);
      return [...checkedParts(body, 'dr-1', config('dozer'), 256 * 1024)];
    });
    expect(parts.flatMap(({ refused }) => refused)).toHaveLength(10_000);
    for (const part of parts) {
      expect(receiveCheckedSchema.parse(part)).toEqual(part);
      expect(JSON.stringify(part).length).toBeLessThan(300 * 1024);
    }
    const short = Array.from({ length: maxChecked + 1 }, () => start('t/a'));
    expect([...batchesOf(short, 1e9)].map((batch) => batch.length)).toEqual([maxChecked, 1]);
  });
});

it('a plan is checked only by the machine that was listed, not by another of its name', async () => {
  const asked: unknown[] = [];
  const publish = (_subject: string, _body: string, { headers }: { headers?: MsgHdrs }) => {
    asked.push(machineIn(headers));
    throw new Error('no receiver is asked here');
  };
  const bus = {
    clock: systemClock,
    ...{ connected: true, maxPayload: 1e6, options: {}, onDisconnected: () => () => {} },
    nc: { subscribe: () => ({ unsubscribe: () => {} }), publish },
  };
  const id = 'a'.repeat(32);
  const datasets = [{ sourceDataset: 'zones/a', targetDataset: 't/a', steps: [step('t/a')] }];
  const answer = askReceiver(
    bus as unknown as Bus,
    contextOf({ dataset: 'zones/a', to: { host: 'dr-1' } }, 'smos-01'),
    datasets,
    { host: 'dr-1', id },
  );
  await expect(answer).rejects.toThrow('no receiver is asked here');
  expect(asked).toEqual([{ id }]);
});

describe('a plan without refused datasets', () => {
  const error: ErrorBody = { code: 'NOT_ALLOWED', message: 'no', retryable: false };
  const chain = (target: string, steps: Step[] = [step(target)]): DatasetPlan => ({
    sourceDataset: `zones/${target}`,
    targetDataset: target,
    steps,
  });
  const checked = (chains: DatasetPlan[], ...refused: string[]): Plan =>
    withoutRefused(
      { ok: true, steps: chains.flatMap(({ steps }) => steps) },
      { datasets: chains, notes: [] },
      new Map(refused.map((target) => [target, error])),
    );

  it('is the whole plan if the receiver refuses none', () => {
    expect(checked([chain('t/a')])).toEqual({ ok: true, steps: [step('t/a')] });
  });

  it('excludes also datasets below them and their clones, and keeps the others', () => {
    const clone = step('t/c', { from: { name: 'zones/t/a@1', guid: '1', kind: 'snapshot' }, origin: 't/a@1' });
    const plan = checked([chain('t/a'), chain('t/a/x'), chain('t/b'), chain('t/c', [clone])], 't/a');
    expect(plan).toMatchObject({ ok: true, steps: [step('t/b')] });
    expect(plan.ok && plan.refused?.map(({ targetDataset, error: { code } }) => [targetDataset, code])).toEqual([
      ['t/a', 'NOT_ALLOWED'],
      ['t/a/x', 'NOT_ALLOWED'],
      ['t/c', 'NOT_ALLOWED'],
    ]);
  });

  it('is a refusal if nothing is left, and a plan without steps if a dataset lacked nothing', () => {
    expect(checked([chain('t/a'), chain('t/a/x')], 't/a')).toMatchObject({ ok: false, error: { code: 'NOT_ALLOWED' } });
    expect(checked([chain('t/a'), chain('t/b', [])], 't/a')).toMatchObject({ ok: true, steps: [] });
  });
});
