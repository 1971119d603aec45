export const exitStatus = `\
Exit status

All commands:
  0    done, or nothing to do
  1    failed
  2    wrong usage, configuration or input file; nothing was started
  3    some targets, or some datasets of a package, failed
  130  interrupted by Ctrl-C

zpsend plan and zpsend send -n:
  1    refused, failed, or not enough space on the target (an estimate)
  3    some targets, or some datasets of a package, are refused

zpsend verify:
  1    not equal, or failed
  3    some of several datasets are not equal, or the source does not show all
       of them to this host

zpsend status --check, as monitoring systems expect:
  0    ok
  1    a row is stale or silent
  2    a row has failed
  3    the state is unknown

zpsend policies exits with 1 if a policy is refused.

An error is one line on standard error: zpsend: CODE: message. With --json it is
{"error":{"code":...,"message":...}} on standard output.
docs/reference/errors.md lists the codes.
`;
