import type { JobContext } from '../../../lib/plan/request/job-context.ts';
import { names, rulesFor, type SendRule, type SendRules } from '../../../lib/settings/send-allow.ts';
import { ZpsendError } from '../../../schemas/errors.ts';
import { datasetOf } from '../../../schemas/names.ts';
import type { Step } from '../../../schemas/plan.ts';

/** A whole request by its dataset, or one stream of it. */
export interface SendOrder {
  readonly sourceDataset: string;
  /** The target host. */
  readonly to: string;
  /** Whether the stream is raw; undefined if that is not known yet. */
  readonly raw?: boolean | undefined;
  /** The host that ordered it on its own subject; undefined for an order on this host's subject. */
  readonly from?: string | undefined;
}

const fits = (rule: SendRule, { to, from }: SendOrder): boolean =>
  names(rule, to) && (rule.from === '*' || rule.from === from);

/**
 * May this host send that? Without rules it sends everything that is ordered on its own subject, and nothing for another host.
 * @throws ZpsendError NOT_ALLOWED, with the rule that decides or the one to add
 */
export function checkSend(rules: SendRules, host: string, order: SendOrder): void {
  const { sourceDataset, to, raw, from } = order;
  const who = from === undefined ? host : `${from}, through ${host},`;
  const added = `{dataset: "${sourceDataset}", to: "${to}"${from === undefined ? '' : `, from: "${from}"`}}`;
  const refused = (why: string, rule?: SendRule): ZpsendError =>
    new ZpsendError('NOT_ALLOWED', `${who} may not send ${sourceDataset} to ${to}: ${why}`, {
      dataset: sourceDataset,
      to,
      ...(from !== undefined && { from }),
      ...(rule && { rule: rule.dataset }),
    });
  if (!rules) {
    if (from === undefined) return;
    throw refused(`send.allow on ${host} names no host that may start it. To allow it, add ${added}`);
  }
  const deciding = rulesFor(rules, sourceDataset);
  const fitting = deciding.filter((rule) => fits(rule, order));
  if (fitting.length === 0) {
    const [first] = deciding;
    const found = first
      ? `send.allow on ${host} allows ${first.dataset} for others only`
      : `no rule of send.allow on ${host} names it`;
    throw refused(`${found}. To allow it, add ${added}, or a dataset above, to send.allow there`, first);
  }
  if (raw !== false || fitting.some((rule) => rule.raw === 'any')) return;
  throw refused(
    `the rule for ${fitting[0]?.dataset} in send.allow on ${host} has raw: required, and this stream is plain. ` +
      'Omit stream.raw: false (--no-raw). An unencrypted dataset needs a rule with raw: any',
    fitting[0],
  );
}

/**
 * The same for a whole request, before it is planned. Only an order of this host itself may resolve conflicts on a target: the
 * target's receiver allows that to this host, and to no host that orders through it.
 * @throws ZpsendError NOT_ALLOWED
 */
export function checkRequest(
  rules: SendRules,
  { sourceHost: host, targetHost: to, sourceDataset, request }: JobContext,
  from?: string,
): void {
  const { stream, conflict = 'refuse' } = request;
  checkSend(rules, host, { sourceDataset, to, raw: stream?.raw, from });
  if (from === undefined || conflict === 'refuse') return;
  throw new ZpsendError(
    'NOT_ALLOWED',
    `${from}, through ${host}, may not order conflict: ${conflict} for ${sourceDataset} on ${to}: only an order of ${host} itself may ` +
      `resolve conflicts there. Omit conflict, or run zpsend send --conflict ${conflict} on ${host}`,
    { dataset: sourceDataset, to, from, conflict },
  );
}

/** The same for one stream: a descendant may have another rule. @throws ZpsendError NOT_ALLOWED */
export const checkStep = (
  rules: SendRules,
  host: string,
  to: string,
  { to: { name }, flags }: Step,
  from?: string,
): void => checkSend(rules, host, { sourceDataset: datasetOf(name), to, raw: flags?.includes('raw') === true, from });
