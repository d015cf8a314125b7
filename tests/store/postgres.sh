#!/bin/sh
# SPDX-License-Identifier: AGPL-3.0-or-later
# What every storage engine must do (test_driver), and what only a server can do to us (test_postgres), on a throw-away PostgreSQL.
. "${srcdir:-.}/tests/lib.sh"

if ! ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || ! command -v psql >/dev/null; then
  if [ -n "$KEYWARD_CHECK_ALL" ]; then
    point 1 "PostgreSQL is installed"
  else
    skip "the store on PostgreSQL" "no PostgreSQL here; contrib/check installs it"
  fi
  finish
fi
fixture=$abs_srcdir/contrib/postgres-fixture/postgres.sh
KEYWARD_TEST_POSTGRES=$(mktemp -d /tmp/keyward-postgres.XXXXXX) || exit 1
export KEYWARD_TEST_POSTGRES
chmod 755 "$KEYWARD_TEST_POSTGRES"
trap '"$fixture" stop "$KEYWARD_TEST_POSTGRES"' EXIT
trap 'exit 1' HUP INT TERM
"$fixture" start "$KEYWARD_TEST_POSTGRES" -c max_connections=200 </dev/null
rc=$?
point $rc "PostgreSQL started"
[ $rc -eq 0 ] || finish
for program in test_driver test_postgres; do
  out=$("$abs_builddir/tests/store/$program" -j2 --tap 2>&1)
  code=$?
  tests=$(echo "$out" | grep -c '^ok\|^not ok')
  [ "$tests" -gt 0 ]
  point $? "$program has tests ($tests)"
  echo "$out" | sed -n 's/^ok - *\([A-Za-z_:0-9]*\).*/\1/p' >"$KEYWARD_TEST_POSTGRES/good"
  while read -r name; do
    point 0 "$program on PostgreSQL: $name"
  done <"$KEYWARD_TEST_POSTGRES/good"
  echo "$out" | grep -q '^not ok' && { point 1 "$program on PostgreSQL"; echo "$out" | grep -A12 '^not ok' | sed 's/^/# /' | sed 60q; }
  [ $code -eq 0 ]
  point $? "$program ended well"
done
finish
