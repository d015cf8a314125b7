#!/bin/sh
# SPDX-License-Identifier: AGPL-3.0-or-later
# The units: systemd finds nothing wrong with them, and what they leave open does not grow (systemd-analyze security).
. "${srcdir:-.}/tests/lib.sh"
most=1.1        # stated in doc/service.md

if ! command -v systemd-analyze >/dev/null; then
  skip "units" "systemd-analyze is missing"
  finish
fi
work=$(mktemp -d "${TMPDIR:-/tmp}/keyward-units.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
for unit in keywardd.service keywardd@.service keywardd.socket keyward-backup.service keyward-backup@.service keyward-backup.timer \
  keyward-backup@.timer; do
  # the programs are not installed here
  sed -e "s,^Exec\([A-Za-z]*\)=[^ ]*keywardd,Exec\1=/bin/true," -e "s,exec [^ ]*/keyward ,exec /bin/true ," "$abs_builddir/systemd/$unit" >"$work/$unit"
done
cp "$work/keywardd@.service" "$work/keywardd@north.service"
cp "$work/keyward-backup@.service" "$work/keyward-backup@north.service"
cp "$work/keyward-backup@.timer" "$work/keyward-backup@north.timer"
for unit in keywardd.service keywardd@north.service keywardd.socket keyward-backup.service keyward-backup@north.service keyward-backup.timer \
  keyward-backup@north.timer; do
  # other units of the machine are none of our business
  found_none "systemd understands $unit" "$(systemd-analyze verify --man=no "$work/$unit" 2>&1 | grep "$work/\|^keyward")"
done
for unit in keywardd.service keywardd@.service; do
  score=$(systemd-analyze security --no-pager --offline=true "$abs_builddir/systemd/$unit" 2>/dev/null |
    sed -n 's/.*Overall exposure level for [^:]*: \([0-9.]*\) .*/\1/p')
  [ -n "$score" ] && awk -v score="$score" -v most=$most 'BEGIN { exit !(score <= most) }'
  point $? "the exposure of $unit is $score, at most $most"
  found_none "$unit has every door of doc/service.md closed" "$(for line in NoNewPrivileges=yes CapabilityBoundingSet= MemoryDenyWriteExecute=yes \
      ProtectSystem=strict ProtectHome=yes PrivateUsers=yes 'SystemCallFilter=@system-service' 'LoadCredential=master.key:.*' Type=notify 'WatchdogSec=[0-9]*'; do
    grep -q "^$line\$" "$abs_builddir/systemd/$unit" || echo "$line"
  done)"
done
finish
