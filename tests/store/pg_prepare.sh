#!/bin/sh
# SPDX-License-Identifier: AGPL-3.0-or-later
# Nothing is written that PostgreSQL cannot run: the migrations are run on a throw-away server, then every statement
# constant of the program ("keywardd -x sql": name, tab, text on a line each) is PREPAREd there.
# The server has its data under a temporary folder and listens on a UNIX socket there, nowhere else.
. "${srcdir:-.}/tests/lib.sh"

pg=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -1)
if [ -z "$pg" ] || [ ! -x "$pg/initdb" ] || ! command -v psql >/dev/null; then
  if [ -n "$KEYWARD_CHECK_ALL" ]; then
    point 1 "PostgreSQL is installed"
  else
    skip "every statement is prepared on PostgreSQL" "no PostgreSQL here; contrib/check installs it"
  fi
  finish
fi

work=$(mktemp -d "${TMPDIR:-/tmp}/keyward-pg.XXXXXX") || exit 1
as=
if [ "$(id -u)" -eq 0 ]; then
  chown postgres "$work"
  as="runuser -u postgres --"
fi
stop()
{
  $as "$pg/pg_ctl" -D "$work/data" -m immediate -w stop >/dev/null 2>&1
  rm -rf "$work"
}
trap stop EXIT
trap 'exit 1' HUP INT TERM
sql()
{
  (cd / && $as psql -h "$work" -d postgres -X -q -v ON_ERROR_STOP=1 "$@")
}

(cd / && $as "$pg/initdb" -D "$work/data" -A trust -E UTF8 --locale=C --no-sync >"$work/log" 2>&1 &&
  $as "$pg/pg_ctl" -D "$work/data" -l "$work/server.log" -w -t 60 \
    -o "-c listen_addresses='' -c unix_socket_directories='$work' -c fsync=off -c shared_buffers=16MB -c max_connections=10" start >>"$work/log" 2>&1)
rc=$?
point $rc "PostgreSQL started"
if [ $rc -ne 0 ]; then
  sed 's/^/# /' "$work/log"
  finish
fi

for migration in "$abs_srcdir"/src/store/schema/[0-9]*.sql; do
  sed 's/@int\([^a-z]\|$\)/BIGINT\1/g; s/@text\([^a-z]\|$\)/TEXT\1/g; s/@blob\([^a-z]\|$\)/BYTEA\1/g; s/@bool\([^a-z]\|$\)/BIGINT\1/g; s/@strict//g; s/@keyed//g' "$migration" >"$work/migration.sql"
  left=$(sed 's/--.*//' "$work/migration.sql" | grep -o '@[a-z]*' | sort -u | tr '\n' ' ')
  [ -z "$left" ] || echo "# unknown tokens: $left"
  sql <"$work/migration.sql" >"$work/out" 2>&1
  rc=$?
  point $rc "migration $(basename "$migration") runs on PostgreSQL"
  [ $rc -eq 0 ] || sed 's/^/# /' "$work/out"
done

if ! "$abs_builddir/keywardd" -x sql >"$work/statements" 2>"$work/err"; then
  point 1 "keywardd -x sql prints the statements"
  sed 's/^/# /' "$work/err"
  finish
fi
# as many statements as the sources define: none is lost on the way
defined=$(cd "$abs_srcdir" && cat src/store/*.c | grep -cE '^SQL_DEFINE(_MUST)?\(')
# (statements that only concern one engine are written without SQL_DEFINE, in its driver)
printed=$(grep -c . "$work/statements")
[ "$printed" -ge "$defined" ] && [ "$defined" -gt 0 ]
point $? "keywardd -x sql prints every statement ($printed printed, $defined defined)"

# One script, each PREPARE by itself, so that one failure does not hide the next.
awk -F '\t' 'NF >= 2 {
  text = $0
  sub(/^[^\t]*\t/, "", text)
  name = $1
  gsub(/[^A-Za-z0-9_]/, "_", name)
  printf "\\echo @@%s\nPREPARE s%d_%s AS %s;\n", $1, NR, name, text
}' "$work/statements" >"$work/prepare.sql"
(cd / && $as psql -h "$work" -d postgres -X -q <"$work/prepare.sql" >"$work/out" 2>&1)
prepared=$(grep -c '^@@' "$work/out")
[ "$prepared" -eq "$printed" ]
point $? "every statement was tried ($prepared)"
found_none "every statement is prepared on PostgreSQL" "$(awk '/^@@/ { name = substr($0, 3); next } { print name ": " $0 }' "$work/out" | sed 40q)"
finish
