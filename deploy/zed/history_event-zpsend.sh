#!/bin/sh
# A ZEDLET (zed(8)): publishes an event for each new snapshot of this host, with `nats pub`. The event is only a trigger, and the next
# listing finds snapshots without one. So this script never retries, and ZED never waits for it.
#
# Install it in /etc/zfs/zed.d/, owned by root and executable. It reads NATS_* and ZPSEND_HOST from /etc/zpsend/env, as the services do.
LC_ALL=C
export LC_ALL
# ZED's PATH has only the system's folders
PATH=$PATH:/usr/local/sbin:/usr/local/bin
export PATH

# zpool-events(8): ZFS writes this into a pool's history for every snapshot, received ones included
[ "${ZEVENT_HISTORY_INTERNAL_NAME:-}" = snapshot ] || exit 0
snapshot=${ZEVENT_HISTORY_DSNAME:-}

# pool/dataset@snapshot in the characters that ZFS allows (zfs(8)), with a letter first: never an option, nor a template of nats pub.
# Temporary snapshots of a receive have a "%"
case $snapshot in
  *[!A-Za-z0-9_.:/@\ -]* | *@*@* | *@ | *@*/*) exit 0 ;;
  [A-Za-z]*@*) ;;
  *) exit 0 ;;
esac

# KEY=VALUE lines in systemd's format; never run as a script
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

# in the background and with a time limit, so that ZED does not wait for an unreachable NATS
(timeout 10 nats pub "zfs.$ZPSEND_HOST.event.snapshot.created" "$snapshot" </dev/null >/dev/null 2>&1 &)
