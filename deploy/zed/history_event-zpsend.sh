#!/bin/sh
# A ZEDLET (zed(8)): tells the sender of this host about each new snapshot, by `nats pub`. It is a hint and no more: what
# is not heard of is found by the next listing, so nothing here is tried again, and ZED never waits for it.
#
# Goes to /etc/zfs/zed.d/, owned by root and executable. Reads NATS_* and ZPSEND_HOST from /etc/zpsend/env, as the services do.
LC_ALL=C
export LC_ALL
# ZED gives the system's folders only
PATH=$PATH:/usr/local/sbin:/usr/local/bin
export PATH

# zpool-events(8): ZFS writes this into a pool's history for every snapshot, one that is received included
[ "${ZEVENT_HISTORY_INTERNAL_NAME:-}" = snapshot ] || exit 0
snapshot=${ZEVENT_HISTORY_DSNAME:-}

# pool/dataset@snapshot in the characters that ZFS allows (zfs(8)), beginning with a letter; so neither an option, nor a
# template of nats pub. What ZFS makes for itself while it receives has a "%"
case $snapshot in
  *[!A-Za-z0-9_.:/@\ -]* | *@*@* | *@ | *@*/*) exit 0 ;;
  [A-Za-z]*@*) ;;
  *) exit 0 ;;
esac

# lines of KEY=VALUE as systemd has them; never run as a script
if [ -r "${ZPSEND_ENV:=/etc/zpsend/env}" ]; then
  while IFS= read -r line || [ -n "$line" ]; do
    name=${line%%=*}
    value=${line#*=}
    case $value in \"*\") value=${value#\"} value=${value%\"} ;; esac
    case $name in
      *[!A-Z_]*) ;;
      NATS_* | ZPSEND_HOST) export "$name=$value" ;;
    esac
  done <"$ZPSEND_ENV"
fi
[ -n "${ZPSEND_HOST:-}" ] || ZPSEND_HOST=$(uname -n | tr . -)
case $ZPSEND_HOST in '' | *[!A-Za-z0-9_-]*) exit 1 ;; esac

# alone, and with an end of its own: a NATS that is away holds up nobody
(timeout 10 nats pub "zfs.$ZPSEND_HOST.event.snapshot.created" "$snapshot" </dev/null >/dev/null 2>&1 &)
