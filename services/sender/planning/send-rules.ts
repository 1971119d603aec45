import { names, rulesFor, type SendRule, type SendRules } from '../../../lib/settings/send-allow.ts';
import { ZpsendError } from '../../../schemas/errors.ts';
import { datasetOf } from '../../../schemas/names.ts';
import type { SendRequest, Step } from '../../../schemas/plan.ts';

/** What is to be sent: a whole request by its dataset, or one stream of it. */
export interface SendOrder {
  readonly dataset: string;
  /** The target host. */
  readonly to: string;
  /** Whether it goes raw; undefined where that is not known yet. */
  readonly raw?: boolean | undefined;
  /** The host that asked for it on a subject of its own; undefined for whoever the NATS server lets order this host itself. */
  readonly from?: string | undefined;
}

const fits = (rule: SendRule, { to, from }: SendOrder): boolean =>
  names(rule, to) && (rule.from === '*' || rule.from === from);

/**
 * May this host send that? Without rules it sends whatever it is ordered to by those who may order it, and nothing for another host.
 * @throws ZpsendError NOT_ALLOWED, with the rule that decides or the one to add
 */
export function checkSend(rules: SendRules, host: string, order: SendOrder): void {
  const { dataset, to, raw, from } = order;
  const who = from === undefined ? host : `${from}, through ${host},`;
  const added = `{dataset: "${dataset}", to: "${to}"${from === undefined ? '' : `, from: "${from}"`}}`;
  const refused = (why: string, rule?: SendRule): ZpsendError =>
    new ZpsendError('NOT_ALLOWED', `${who} may not send ${dataset} to ${to}: ${why}`, {
      dataset,
      to,
      ...(from !== undefined && { from }),
      ...(rule && { rule: rule.dataset }),
    });
  if (!rules) {
    if (from === undefined) return;
    throw refused(`send.allow on ${host} names no host that may order it. If it may, add ${added}`);
  }
  const deciding = rulesFor(rules, dataset);
  const fitting = deciding.filter((rule) => fits(rule, order));
  if (fitting.length === 0) {
    const [first] = deciding;
    const found = first
      ? `send.allow on ${host} allows ${first.dataset} for others only`
      : `no rule of send.allow on ${host} names it`;
    throw refused(`${found}. If it may, add ${added}, or a dataset above, to send.allow there`, first);
  }
  if (raw !== false || fitting.some((rule) => rule.raw === 'any')) return;
  throw refused(
    `the rule for ${fitting[0]?.dataset} in send.allow on ${host} has raw: required, and this stream is plain. ` +
      'Leave out stream.raw: false (--no-raw); what is not encrypted needs a rule with raw: any',
    fitting[0],
  );
}

/**
 * The same for a whole request, before it is planned. What stands in the way on a target is cleared by an order of this host alone: its
 * receiver allows that to the source, and nobody who orders through it.
 * @throws ZpsendError NOT_ALLOWED
 */
export function checkRequest(
  rules: SendRules,
  host: string,
  { dataset, to, stream, conflict = 'refuse' }: Pick<SendRequest, 'dataset' | 'to' | 'stream' | 'conflict'>,
  from?: string,
): void {
  checkSend(rules, host, { dataset: datasetOf(dataset), to: to.host, raw: stream?.raw, from });
  if (from === undefined || conflict === 'refuse') return;
  throw new ZpsendError(
    'NOT_ALLOWED',
    `${from}, through ${host}, may not order conflict: ${conflict} for ${datasetOf(dataset)} on ${to.host}: only an order of ${host} itself clears ` +
      `what stands in the way there. Leave conflict out, or run zpsend send --conflict ${conflict} on ${host}`,
    { dataset: datasetOf(dataset), to: to.host, from, conflict },
  );
}

/** The same for one stream of it: a rule for what lies below may be another one. @throws ZpsendError NOT_ALLOWED */
export const checkStep = (
  rules: SendRules,
  host: string,
  to: string,
  { to: { name }, flags }: Step,
  from?: string,
): void => checkSend(rules, host, { dataset: datasetOf(name), to, raw: flags?.includes('raw') === true, from });
