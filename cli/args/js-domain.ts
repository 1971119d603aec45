import { jetStreamDomainSchema } from '../../schemas/names.ts';
import { usage } from '../exit-codes.ts';

/** The value of `--js-domain`, as the `nats` CLI calls it. @throws UsageError for what is none */
export function domainOf(option: string | undefined): string | undefined {
  if (option === undefined) return undefined;
  const { data, error } = jetStreamDomainSchema.safeParse(option);
  if (data === undefined) throw usage(`--js-domain ${option}: ${error.issues[0]?.message}`);
  return data;
}
